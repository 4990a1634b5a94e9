// Every interoperability case across a bridge: our clients and gRPC's, to our servers and gRPC's.

#include "nearcall/bridge.h"

#include <memory>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/interop/cases.h"
#include "tests/testing/transport_test.h"

namespace nearcall::interop {
namespace {

struct Direction {
  std::string from;
  std::string to;
};

using Param = std::tuple<Direction, Case>;

// The server has a process of its own; the bridge, and the client, are here.
class BridgeTest : public testing::TransportTest, public ::testing::WithParamInterface<Param> {
 protected:
  BridgeTest()
      : TransportTest({testing::MechanismNamed(std::get<Direction>(GetParam()).to), testing::Where::kOwnProcess}) {}
};

TEST_P(BridgeTest, Case) {
  StartServer();
  Bridge bridge(CreateChannel(address()));
  ServerBuilder builder;
  builder.RegisterCallbackGenericService(&bridge);
  builder.AddListeningPort(std::get<Direction>(GetParam()).from == "grpc" ? "grpc:127.0.0.1:0"
                                                                          : "shm:" + directory() + "/bridge.sock");
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();

  CaseOptions effort;
  effort.LeadThroughGrpc(2);
  effort.concurrent_calls = 200;
  effort.rpc_soak_calls = 200;
  effort.channel_soak_channels = 50;
  const std::shared_ptr<Channel> channel = CreateChannel((*server)->addresses().front());
  ASSERT_TRUE(channel->WaitForConnected(absl::InfiniteFuture()));
  EXPECT_EQ(std::get<Case>(GetParam()).run(channel, effort), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(FourDirections, BridgeTest,
                         ::testing::Combine(::testing::Values(Direction{"shm", "grpc"}, Direction{"grpc", "shm"},
                                                              Direction{"shm", "shm"}, Direction{"grpc", "grpc"}),
                                            ::testing::ValuesIn(AllCases())),
                         [](const ::testing::TestParamInfo<Param>& info) {
                           const Direction& direction = std::get<Direction>(info.param);
                           return direction.from + "_to_" + direction.to + "_" + std::get<Case>(info.param).name;
                         });

}  // namespace
}  // namespace nearcall::interop
