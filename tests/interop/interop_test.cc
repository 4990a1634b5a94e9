// Every interoperability case over every transport, with the server in a process of its own where the transport can
// leave the process.

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/interop/cases.h"
#include "tests/testing/transport_test.h"

namespace nearcall::interop {
namespace {

using testing::Mechanism;
using testing::Where;

const Mechanism kMechanisms[] = {
    {.scheme = "inproc", .carries = "inproc", .between_processes = false},
    {.scheme = "unix", .carries = "unix"},
    {.scheme = "unix-abstract", .carries = "unix"},
    {.scheme = "tcp", .carries = "tcp"},
    {.scheme = "shm", .carries = "shm"},
    {.scheme = "local", .carries = "shm"},
};

using Param = std::tuple<Mechanism, Case>;

class Interop : public testing::TransportTest, public ::testing::WithParamInterface<Param> {
 protected:
  Interop()
      : TransportTest({std::get<Mechanism>(GetParam()),
                       std::get<Mechanism>(GetParam()).between_processes ? Where::kOwnProcess : Where::kThisProcess}) {}
};

TEST_P(Interop, Case) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  ASSERT_TRUE(channel->WaitForConnected(absl::InfiniteFuture()));
  EXPECT_EQ(std::get<Case>(GetParam()).run(channel, CaseOptions()), absl::OkStatus());
}

std::string NameOf(const ::testing::TestParamInfo<Param>& info) {
  std::string name = std::get<Mechanism>(info.param).scheme + "_" + std::get<Case>(info.param).name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllTransports, Interop,
                         ::testing::Combine(::testing::ValuesIn(kMechanisms), ::testing::ValuesIn(AllCases())), NameOf);

}  // namespace
}  // namespace nearcall::interop
