#ifndef NEARCALL_TESTS_FEATURES_MECHANISMS_H_
#define NEARCALL_TESTS_FEATURES_MECHANISMS_H_

#include <string>

#include "gtest/gtest.h"
#include "tests/testing/transport_test.h"

namespace nearcall::testing {

// One of each kind: what these tests are about is the engine's, and does not differ between, say, unix and local.
inline const Mechanism kFeatureMechanisms[] = {
    {.scheme = "inproc", .carries = "inproc", .between_processes = false, .socket = false, .socket_file = false},
    {.scheme = "unix", .carries = "unix"},
    {.scheme = "shm", .carries = "shm"},
};

inline std::string NameOfMechanism(const ::testing::TestParamInfo<Mechanism>& info) { return info.param.scheme; }

// A test over one of them.
class FeatureTest : public TransportTest, public ::testing::WithParamInterface<Mechanism> {
 protected:
  explicit FeatureTest(Where where = Where::kThisProcess)
      : TransportTest({GetParam(), GetParam().between_processes ? where : Where::kThisProcess}) {}
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_FEATURES_MECHANISMS_H_
