// The conformance suite over local: where both sides can have the ring.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kLocal = {.scheme = "local", .carries = "shm"};

INSTANTIATE_TEST_SUITE_P(Local, Conformance, ::testing::ValuesIn(SetupsOf(kLocal)), NameOf);

}  // namespace
}  // namespace nearcall::testing
