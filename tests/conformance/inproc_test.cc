// The conformance suite over inproc:, which stays in the process.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Inproc, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(MechanismNamed("inproc"))),
                         NameOf);

}  // namespace
}  // namespace nearcall::testing
