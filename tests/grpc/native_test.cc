// Real gRPC and nearcall, each calling the other: over grpc: addresses, and gRPC's generated code over nearcall's.

#include <memory>
#include <string>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "nearcall/grpc.h"
#include "nearcall/grpc_adapter.h"
#include "tests/grpc/greeters.h"
#include "tests/grpc/servers.h"

namespace {

using nearcall::CreateChannel;

TEST(NativeGrpcTest, ItsClientCallsOurServer) {
  const NearcallServer server("grpc:127.0.0.1:0");
  EXPECT_NE(server.port, 0);
  EXPECT_EQ(server.address(), "grpc:127.0.0.1:" + std::to_string(server.port));
  EXPECT_EQ(TryGrpcStub(grpc::CreateChannel(server.address().substr(5), grpc::InsecureChannelCredentials())), "");
}

TEST(NativeGrpcTest, OurClientCallsItsServer) {
  const NativeServer native;
  for (const char* target : {"grpc:127.0.0.1:", "grpc:dns:///localhost:", "grpc:ipv4:127.0.0.1:"}) {
    EXPECT_EQ(TryNearcallStub(CreateChannel(target + std::to_string(native.port))), "") << target;
  }
  EXPECT_EQ(TryNearcallStub(nearcall::ChannelOver(native.server->InProcessChannel(grpc::ChannelArguments()))), "");
}

TEST(NativeGrpcTest, ItsStubCallsOurServerOverOurAddresses) {
  for (const char* address : {"shm:native-grpc-test", "tcp:127.0.0.1:0", "inproc:native-grpc-test"}) {
    const NearcallServer server(address);
    const auto channel = nearcall::GrpcChannelOver(CreateChannel(server.address()));
    ASSERT_TRUE(channel.ok()) << channel.status();
    EXPECT_EQ(TryGrpcStub(*channel), "") << address;
  }
}

TEST(NativeGrpcTest, ItsServicesAreServedOnOurAddresses) {
  const std::unique_ptr<grpc::Service> greeter = NewGrpcGreeter();
  const auto services = nearcall::ServeGrpc({greeter.get()});
  ASSERT_TRUE(services.ok()) << services.status();
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("shm:native-grpc-test");
  builder.AddListeningPort("tcp:127.0.0.1:0");
  builder.RegisterCallbackGenericService(services->get());
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();
  for (const std::string& address : (*server)->addresses()) {
    EXPECT_EQ(TryNearcallStub(CreateChannel(address)), "") << address;
  }
}

TEST(GrpcAddressTest, WithoutCredentialsNothingLeavesTheMachine) {
  const auto service = NewNearcallGreeter();
  for (const char* address : {"grpc:0.0.0.0:0", "grpc:[::]:0"}) {
    nearcall::ServerBuilder builder;
    builder.AddListeningPort(address);
    builder.RegisterService(service.get());
    const absl::Status status = builder.BuildAndStart().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    EXPECT_NE(status.message().find("allow_remote"), std::string::npos) << status;
  }
  for (const char* address : {"grpc:example.com:443", "grpc:dns:///example.com:443", "grpc:xds:///greeter",
                              "grpc:127.0.0.1.example.com:1", "grpc:dns://127.0.0.1/example.com:1"}) {
    const std::string said = TryNearcallStub(CreateChannel(address));
    EXPECT_NE(said.find("FAILED_PRECONDITION"), std::string::npos) << address << " " << said;
    EXPECT_NE(said.find("nearcall/grpc.h"), std::string::npos) << address << " " << said;
  }
}

TEST(GrpcAddressTest, AnAddressThatIsTakenIsTaken) {
  const NearcallServer server("grpc:127.0.0.1:0");
  nearcall::ServerBuilder builder;
  builder.AddListeningPort(server.address());
  builder.RegisterService(server.service.get());
  EXPECT_EQ(builder.BuildAndStart().status().code(), absl::StatusCode::kAlreadyExists);
}

TEST(GrpcAddressTest, OneServerBesideOtherAddresses) {
  const auto service = NewNearcallGreeter();
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("local:native-grpc-test")
      .AddListeningPort("grpc:127.0.0.1:0")
      .AddListeningPort("tcp:127.0.0.1:0");
  builder.RegisterService(service.get());
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();
  for (const std::string& address : (*server)->addresses()) {
    EXPECT_EQ(TryNearcallStub(CreateChannel(address)), "") << address;
  }
}

}  // namespace
