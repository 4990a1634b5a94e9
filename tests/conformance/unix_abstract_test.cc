// The conformance suite over unix-abstract:

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(UnixAbstract, Conformance, ::testing::ValuesIn(SetupsOf(MechanismNamed("unix_abstract"))),
                         NameOf);

}  // namespace
}  // namespace nearcall::testing
