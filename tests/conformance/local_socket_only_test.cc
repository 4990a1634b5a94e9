// The conformance suite over local: where the server grants no ring: the socket carries everything.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(LocalSocketOnly, Conformance,
                         ::testing::ValuesIn(SetupsOf(MechanismNamed("local_socket_only"))), NameOf);

}  // namespace
}  // namespace nearcall::testing
