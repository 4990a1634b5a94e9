// The conformance suite over inproc:, which stays in the process.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

const Mechanism kInproc = {.scheme = "inproc",
                            .carries = "inproc",
                            .between_processes = false,
                            .socket = false,
                            .socket_file = false};

INSTANTIATE_TEST_SUITE_P(Inproc, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(kInproc)), NameOf);

}  // namespace
}  // namespace nearcall::testing
