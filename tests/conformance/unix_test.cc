// The conformance suite over unix:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Unix, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(MechanismNamed("unix"))), NameOf);

}  // namespace
}  // namespace nearcall::testing
