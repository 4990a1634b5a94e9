// The conformance suite over local: where both sides can have the ring.

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, Conformance, ::testing::ValuesIn(SetupsOf(MechanismNamed("local"))), NameOf);

}  // namespace
}  // namespace nearcall::testing
