// The conformance suite over tcp:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kTcp = {.scheme = "tcp", .carries = "tcp", .credentials = false, .socket_file = false};

INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(kTcp)), NameOf);

}  // namespace
}  // namespace nearcall::testing
