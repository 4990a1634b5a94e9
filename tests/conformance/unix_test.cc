// The conformance suite over unix:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kUnix = {.scheme = "unix", .carries = "unix"};

INSTANTIATE_TEST_SUITE_P(Unix, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(kUnix)), NameOf);

}  // namespace
}  // namespace nearcall::testing
