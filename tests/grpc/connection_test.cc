// What a connection of gRPC's comes to with nearcall at one end of it: how it ends, how it is waited for, what it
// refuses, by which names it is found; and health, as gRPC's clients ask for it.

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/server_context.h"
#include "gtest/gtest.h"
#include "nearcall/generic.h"
#include "nearcall/grpc.h"
#include "tests/grpc/greeters.h"
#include "tests/grpc/grpc_greeter.h"
#include "tests/grpc/servers.h"
#include "tests/testing/watchdog.h"

namespace {

using helloworld::Greeter;
using helloworld::HelloReply;
using helloworld::HelloRequest;
using nearcall::CreateChannel;

HelloRequest Named(const std::string& name) {
  HelloRequest request;
  request.set_name(name);
  return request;
}

std::unique_ptr<Greeter::Stub> NativeStub(const std::string& target) {
  return Greeter::NewStub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials()));
}

grpc::Status SayHello(Greeter::Stub* stub, const std::string& name = "you") {
  grpc::ClientContext context;
  HelloReply reply;
  return stub->SayHello(&context, Named(name), &reply);
}

// Of our client, without its generated code.
absl::Status SayHello(const std::shared_ptr<nearcall::Channel>& channel, const std::string& name = "you",
                      bool wait = false) {
  nearcall::GenericStub stub(channel);
  nearcall::ClientContext context;
  context.set_wait_for_ready(wait);
  std::string response;
  return stub.UnaryCall(&context, "/helloworld.Greeter/SayHello", Named(name).SerializeAsString(), &response);
}

std::string TemporaryPath(const std::string& name) {
  const char* const directory = getenv("TEST_TMPDIR");
  return (directory != nullptr && strlen(directory) < 60 ? std::string(directory) : "/tmp") + "/" + name + "-" +
         std::to_string(getpid());
}

// --- How it ends ---

TEST(GrpcDrainTest, CallsThatHaveBegunEndAsTheyLike) {
  NearcallServer server("grpc:127.0.0.1:0");
  const auto stub = NativeStub(server.target());
  grpc::ClientContext context;
  const auto stream = stub->Chat(&context);
  HelloReply reply;
  ASSERT_TRUE(stream->Write(Named("before")));
  ASSERT_TRUE(stream->Read(&reply));
  std::thread shutdown([&server] { server.server->Shutdown(absl::InfiniteFuture()); });
  // New calls find nobody.
  nearcall::testing::Await([&] { return SayHello(stub.get()).error_code() == grpc::StatusCode::UNAVAILABLE; });
  EXPECT_TRUE(stream->Write(Named("after")));
  EXPECT_TRUE(stream->Read(&reply));
  EXPECT_EQ(reply.message(), "after");
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
  shutdown.join();
}

TEST(GrpcDrainTest, AtTheDeadlineTheyAreCancelled) {
  NearcallServer server("grpc:127.0.0.1:0");
  const auto stub = NativeStub(server.target());
  grpc::ClientContext context;
  const auto stream = stub->Chat(&context);
  HelloReply reply;
  ASSERT_TRUE(stream->Write(Named("before")));
  ASSERT_TRUE(stream->Read(&reply));
  server.server->Shutdown(absl::Now() + absl::Milliseconds(20));
  EXPECT_FALSE(stream->Read(&reply));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED) << status.error_message();
}

// --- How it is waited for, and by which names it is found ---

TEST(GrpcWaitTest, OurClientWaitsForItsServer) {
  const std::string target = "unix:" + TemporaryPath("wait");
  const auto channel = CreateChannel("grpc:" + target);
  EXPECT_EQ(SayHello(channel).code(), absl::StatusCode::kUnavailable);
  absl::Status status;
  std::thread caller([&] { status = SayHello(channel, "you", /*wait=*/true); });
  const NativeServer server(target);
  caller.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST(GrpcWaitTest, ItsClientWaitsForOurServer) {
  const std::string target = "unix:" + TemporaryPath("wait-for-us");
  const auto stub = NativeStub(target);
  EXPECT_EQ(SayHello(stub.get()).error_code(), grpc::StatusCode::UNAVAILABLE);
  grpc::Status status;
  std::thread caller([&] {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    HelloReply reply;
    status = stub->SayHello(&context, Named("you"), &reply);
  });
  const NearcallServer server("grpc:" + target);
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST(GrpcTargetTest, UnixSocketsAndNamesBothWays) {
  const std::string path = TemporaryPath("target");
  for (const std::string& target : {"unix:" + path, "unix://" + path, "unix-abstract:nearcall-" + path.substr(1)}) {
    const NearcallServer server("grpc:" + target);
    EXPECT_EQ(TryGrpcStub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials())), "") << target;
    EXPECT_EQ(TryNearcallStub(CreateChannel("grpc:" + target)), "") << target;
  }
  const NearcallServer server("grpc:127.0.0.1:0");
  const std::string port = std::to_string(server.port);
  for (const std::string& target : {"dns:///localhost:" + port, "dns:localhost:" + port, "ipv4:127.0.0.1:" + port}) {
    EXPECT_EQ(TryGrpcStub(grpc::CreateChannel(target, grpc::InsecureChannelCredentials())), "") << target;
    EXPECT_EQ(TryNearcallStub(CreateChannel("grpc:" + target)), "") << target;
  }
}

// gRPC resolves the name, and has no bootstrap file here: the status is its own.
TEST(GrpcTargetTest, ItsSchemesAreItsOwn) {
  nearcall::ChannelOptions options;
  options.transport = nearcall::GrpcChannel(grpc::InsecureChannelCredentials());
  const absl::Status status = SayHello(CreateChannel("grpc:xds:///greeter", options));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_NE(status.message().find("GRPC_XDS_BOOTSTRAP"), std::string::npos) << status;
}

// --- What it refuses, and what it takes ---

TEST(GrpcLimitsTest, OurServerRefusesWhatIsTooLarge) {
  nearcall::ServerOptions options;
  options.max_receive_message_bytes = 1000;
  const NearcallServer server("grpc:127.0.0.1:0", options);
  const auto stub = NativeStub(server.target());
  EXPECT_EQ(SayHello(stub.get(), std::string(1001, 'x')).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(SayHello(stub.get()).ok());
}

TEST(GrpcLimitsTest, OurServerDoesNotSendWhatIsTooLarge) {
  nearcall::ServerOptions options;
  options.max_send_message_bytes = 1000;
  const NearcallServer server("grpc:127.0.0.1:0", options);
  const auto stub = NativeStub(server.target());
  EXPECT_EQ(SayHello(stub.get(), std::string(1001, 'x')).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(SayHello(stub.get()).ok());
}

TEST(GrpcLimitsTest, OurClientRefusesWhatIsTooLarge) {
  const NativeServer server;
  nearcall::ChannelOptions receive, send;
  receive.max_receive_message_bytes = 1000;
  send.max_send_message_bytes = 1000;
  for (const nearcall::ChannelOptions& options : {receive, send}) {
    const auto channel = CreateChannel(server.address(), options);
    EXPECT_EQ(SayHello(channel, std::string(1001, 'x')).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_TRUE(SayHello(channel).ok());
  }
}

TEST(GrpcCompressionTest, OurServerTakesWhatIsCompressed) {
  const NearcallServer server("grpc:127.0.0.1:0");
  const auto stub = NativeStub(server.target());
  for (const grpc_compression_algorithm algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    HelloReply reply;
    const grpc::Status status = stub->SayHello(&context, Named(std::string(100'000, 'x')), &reply);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(reply.message().size(), 100'007u);
  }
}

TEST(GrpcCompressionTest, OurClientTakesWhatIsCompressed) {
  class Compressing final : public Greeter::Service {
    grpc::Status SayHello(grpc::ServerContext* context, const HelloRequest* request, HelloReply* reply) override {
      context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
      reply->set_message(request->name());
      return grpc::Status::OK;
    }
  } service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  nearcall::GenericStub stub(CreateChannel("grpc:127.0.0.1:" + std::to_string(port)));
  nearcall::ClientContext context;
  std::string response;
  const absl::Status status = stub.UnaryCall(&context, "/helloworld.Greeter/SayHello",
                                             Named(std::string(100'000, 'x')).SerializeAsString(), &response);
  ASSERT_TRUE(status.ok()) << status;
  HelloReply reply;
  ASSERT_TRUE(reply.ParseFromString(response));
  EXPECT_EQ(reply.message(), std::string(100'000, 'x'));
}

// --- Health ---

TEST(GrpcHealthTest, ItsClientChecksAndWatches) {
  using grpc::health::v1::HealthCheckRequest;
  using grpc::health::v1::HealthCheckResponse;
  const NearcallServer server("grpc:127.0.0.1:0");
  const auto stub =
      grpc::health::v1::Health::NewStub(grpc::CreateChannel(server.target(), grpc::InsecureChannelCredentials()));
  HealthCheckRequest whole, unknown;
  unknown.set_service("no.such.Service");
  HealthCheckResponse response;
  grpc::ClientContext first, second, watching;
  ASSERT_TRUE(stub->Check(&first, whole, &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(stub->Check(&second, unknown, &response).error_code(), grpc::StatusCode::NOT_FOUND);
  const auto watch = stub->Watch(&watching, whole);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  server.server->GetHealthCheckService()->SetServingStatus("", false);
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  watching.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
