// The conformance suite over local: where the server grants no ring: the socket carries everything.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kLocal = {.scheme = "local", .carries = "unix", .shared_memory = false};

INSTANTIATE_TEST_SUITE_P(LocalSocketOnly, Conformance, ::testing::ValuesIn(SetupsOf(kLocal)), NameOf);

}  // namespace
}  // namespace nearcall::testing
