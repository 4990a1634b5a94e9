// The conformance suite over shm:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Shm, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(MechanismNamed("shm"))), NameOf);

}  // namespace
}  // namespace nearcall::testing
