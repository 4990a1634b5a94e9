// Every interoperability case over every transport, with the server in a process of its own where the transport can
// leave the process.

#include <algorithm>
#include <string>
#include <tuple>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/interop/cases.h"
#include "tests/testing/fault.h"
#include "tests/testing/transport_test.h"

namespace nearcall::interop {
namespace {

using testing::Fault;
using testing::Mechanism;
using testing::Where;

// How much each case does. Faults make bytes, calls or threads dear: then less of them.
CaseOptions Effort() {
  CaseOptions options;
  options.channel = testing::UnderFault(ChannelOptions());
  options.window_bytes =
      std::max(options.channel.stream_window_bytes, testing::UnderFault(ServerOptions()).stream_window_bytes);
  options.least_window_bytes = options.window_bytes;
  switch (testing::FaultInForce()) {
    case Fault::kNone:
      break;
    case Fault::kOneByte:  // some microseconds a byte
    case Fault::kFewBytes:
      options.large_request_bytes = 2718;
      options.large_response_bytes = 3141;
      options.concurrent_calls = 200;
      options.rpc_soak_calls = 100;
      options.channel_soak_channels = 50;
      options.push_back_message_bytes = 5000;
      break;
    case Fault::kDelays:  // about a millisecond a call
      options.concurrent_calls = 300;
      options.rpc_soak_calls = 500;
      options.channel_soak_channels = 100;
      break;
    case Fault::kTinyCredit:  // which unary calls do not feel
      options.concurrent_calls = 20;
      options.rpc_soak_calls = 20;
      options.channel_soak_channels = 10;
      options.push_back_message_bytes = 10;
      break;
  }
  return options;
}

using Param = std::tuple<Mechanism, Case>;

class Interop : public testing::TransportTest, public ::testing::WithParamInterface<Param> {
 protected:
  Interop()
      : TransportTest({std::get<Mechanism>(GetParam()),
                       std::get<Mechanism>(GetParam()).between_processes ? Where::kOwnProcess : Where::kThisProcess}) {}
};

TEST_P(Interop, Case) {
  StartServer();
  const CaseOptions effort = Effort();
  const std::shared_ptr<Channel> channel = CreateChannel(address(), effort.channel);
  ASSERT_TRUE(channel->WaitForConnected(absl::InfiniteFuture()));
  EXPECT_EQ(std::get<Case>(GetParam()).run(channel, effort), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(AllTransports, Interop,
                         ::testing::Combine(::testing::ValuesIn(testing::AllMechanisms()),
                                            ::testing::ValuesIn(AllCases())),
                         [](const ::testing::TestParamInfo<Param>& info) {
                           return std::get<Mechanism>(info.param).name + "_" + std::get<Case>(info.param).name;
                         });

}  // namespace
}  // namespace nearcall::interop
