// The conformance suite over tcp:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(MechanismNamed("tcp"))), NameOf);

}  // namespace
}  // namespace nearcall::testing
