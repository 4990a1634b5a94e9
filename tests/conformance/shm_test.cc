// The conformance suite over shm:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kShm = {.scheme = "shm", .carries = "shm"};

INSTANTIATE_TEST_SUITE_P(Shm, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(kShm)), NameOf);

}  // namespace
}  // namespace nearcall::testing
