// The conformance suite over grpc:, which is somebody else's framing, threads and flow control.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Grpc, Conformance, ::testing::ValuesIn(SetupsWithReactorsOf(MechanismNamed("grpc"))), NameOf);

}  // namespace
}  // namespace nearcall::testing
