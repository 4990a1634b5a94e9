// The conformance suite over unix-abstract:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kUnixAbstract = {.scheme = "unix-abstract", .carries = "unix", .socket_file = false};

INSTANTIATE_TEST_SUITE_P(UnixAbstract, Conformance, ::testing::ValuesIn(SetupsOf(kUnixAbstract)), NameOf);

}  // namespace
}  // namespace nearcall::testing
