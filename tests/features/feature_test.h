#ifndef NEARCALL_TESTS_FEATURES_FEATURE_TEST_H_
#define NEARCALL_TESTS_FEATURES_FEATURE_TEST_H_

#include "gtest/gtest.h"
#include "tests/testing/transport_test.h"

namespace nearcall::testing {

// A test over one mechanism of each kind.
class FeatureTest : public TransportTest, public ::testing::WithParamInterface<Mechanism> {
 protected:
  explicit FeatureTest(Where where = Where::kThisProcess)
      : TransportTest({GetParam(), GetParam().between_processes ? where : Where::kThisProcess}) {}
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_FEATURES_FEATURE_TEST_H_
