// Every interoperability case over grpc:, with the server in a process of its own.

#include <string>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/interop/cases.h"
#include "tests/testing/transport_test.h"

namespace nearcall::interop {
namespace {

class InteropOverGrpc : public testing::TransportTest, public ::testing::WithParamInterface<Case> {
 protected:
  InteropOverGrpc() : TransportTest({testing::MechanismNamed("grpc"), testing::Where::kOwnProcess}) {}
};

TEST_P(InteropOverGrpc, Case) {
  StartServer();
  CaseOptions effort;
  effort.LeadThroughGrpc(1);
  effort.concurrent_calls = 500;
  effort.rpc_soak_calls = 2000;
  effort.channel_soak_channels = 100;
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  ASSERT_TRUE(channel->WaitForConnected(absl::InfiniteFuture()));
  EXPECT_EQ(GetParam().run(channel, effort), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Grpc, InteropOverGrpc, ::testing::ValuesIn(AllCases()),
                         [](const ::testing::TestParamInfo<Case>& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace nearcall::interop
