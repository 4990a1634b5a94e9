// The adapters that cc_nearcall_library(grpc_adapter = True) generates: gRPC's StubInterface over our addresses, and
// gRPC's services served on them.

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/server_context.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/codegen/testdata/greeter_grpc.nearcall.h"
#include "tests/grpc/greeters.h"
#include "tests/grpc/grpc_greeter.h"
#include "tests/testing/watchdog.h"

namespace {

using helloworld::HelloReply;
using helloworld::HelloRequest;
using Adapter = helloworld::nearcall_grpc::Greeter;
using StubInterface = helloworld::Greeter::StubInterface;

HelloRequest Named(const std::string& name) {
  HelloRequest request;
  request.set_name(name);
  return request;
}

std::unique_ptr<nearcall::Server> Serve(nearcall::Service* service, const std::string& address) {
  nearcall::ServerBuilder builder;
  builder.AddListeningPort(address);
  builder.RegisterService(service);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? *std::move(server) : nullptr;
}

const char* const kAddresses[] = {"shm:grpc-adapter-test", "unix:grpc-adapter-test", "tcp:127.0.0.1:0",
                                  "inproc:grpc-adapter-test"};

std::string NameOf(const ::testing::TestParamInfo<const char*>& info) {
  return std::string(info.param).substr(0, std::string(info.param).find(':'));
}

// --- gRPC's stubs, our server ---

class GrpcStubTest : public ::testing::TestWithParam<const char*> {
 protected:
  const std::unique_ptr<nearcall::Service> greeter_ = NewNearcallGreeter();
  const std::unique_ptr<nearcall::Server> server_ = Serve(greeter_.get(), GetParam());
  const std::shared_ptr<nearcall::Channel> channel_ = nearcall::CreateChannel(server_->addresses().front());
  const std::unique_ptr<StubInterface> stub_ = Adapter::NewStub(channel_);
};

INSTANTIATE_TEST_SUITE_P(Addresses, GrpcStubTest, ::testing::ValuesIn(kAddresses), NameOf);

TEST_P(GrpcStubTest, CallsEverything) { EXPECT_EQ(TryStub(stub_.get()), ""); }

TEST_P(GrpcStubTest, StreamsHaveMetadataOfTheirOwn) {
  grpc::ClientContext context;
  context.AddMetadata("tag", "of a stream");
  const auto stream = stub_->Chat(&context);
  EXPECT_TRUE(stream->WritesDone());
  stream->WaitForInitialMetadata();
  const auto& initial = context.GetServerInitialMetadata();
  ASSERT_EQ(initial.count("tag"), 1u);
  EXPECT_EQ(initial.find("tag")->second, "of a stream");
  EXPECT_TRUE(stream->Finish().ok());
  const auto& trailing = context.GetServerTrailingMetadata();
  ASSERT_EQ(trailing.count("tag-bin"), 1u);
  EXPECT_EQ(trailing.find("tag-bin")->second, grpc::string_ref("of a stream\0", 12));
}

TEST_P(GrpcStubTest, AStreamEndsAtItsDeadline) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(30));
  const auto stream = stub_->Chat(&context);
  HelloReply reply;
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
}

TEST_P(GrpcStubTest, AnyThreadCancelsAStream) {
  grpc::ClientContext context;
  const auto stream = stub_->Chat(&context);
  HelloReply reply;
  ASSERT_TRUE(stream->Write(Named("one")));
  ASSERT_TRUE(stream->Read(&reply));
  std::thread canceller([&context] { context.TryCancel(); });
  EXPECT_FALSE(stream->Read(&reply));
  canceller.join();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(GrpcStubTest, ACancelledContextBeginsNothing) {
  HelloReply reply;
  grpc::ClientContext unary;
  unary.TryCancel();
  EXPECT_EQ(stub_->SayHello(&unary, Named("you"), &reply).error_code(), grpc::StatusCode::CANCELLED);
  grpc::ClientContext streaming;
  streaming.TryCancel();
  const auto stream = stub_->Repeat(&streaming, Named("you"));
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_P(GrpcStubTest, CompletionQueuesTakeTheDetour) {
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.AddMetadata("tag", "queued");
  const auto call = stub_->AsyncSayHello(&context, Named("you"), &queue);
  HelloReply reply;
  grpc::Status status;
  call->Finish(&reply, &status, &reply);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));
  EXPECT_TRUE(ok);
  EXPECT_EQ(tag, &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.message(), "Hello, you");
  EXPECT_EQ(context.GetServerInitialMetadata().count("tag"), 1u);

  grpc::ClientContext streaming;
  const auto reader = stub_->PrepareAsyncRepeat(&streaming, Named("again"), &queue);
  const auto next = [&] { return queue.Next(&tag, &ok) && ok; };
  reader->StartCall(&tag);
  ASSERT_TRUE(next());
  int replies = 0;
  for (reader->Read(&reply, &tag); next(); reader->Read(&reply, &tag)) replies += reply.message() == "again";
  EXPECT_EQ(replies, 3);
  reader->Finish(&status, &tag);
  EXPECT_TRUE(next());
  EXPECT_TRUE(status.ok()) << status.error_message();
  queue.Shutdown();
  EXPECT_FALSE(queue.Next(&tag, &ok));
}

TEST_P(GrpcStubTest, CallbacksAndReactorsTakeTheDetour) {
  grpc::ClientContext context;
  const HelloRequest request = Named("you");
  HelloReply reply;
  absl::Notification called;
  grpc::Status result;
  stub_->async()->SayHello(&context, &request, &reply, [&](grpc::Status status) {
    result = status;
    called.Notify();
  });
  called.WaitForNotification();
  EXPECT_TRUE(result.ok()) << result.error_message();
  EXPECT_EQ(reply.message(), "Hello, you");

  struct Echo final : grpc::ClientBidiReactor<HelloRequest, HelloReply> {
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&reply);
    }
    void OnReadDone(bool ok) override {
      if (ok) StartWritesDone();
    }
    void OnDone(const grpc::Status& status) override {
      result = status;
      done.Notify();
    }
    const HelloRequest request = Named("echo");
    HelloReply reply;
    grpc::Status result;
    absl::Notification done;
  } echo;
  grpc::ClientContext streaming;
  stub_->async()->Chat(&streaming, &echo);
  echo.StartWrite(&echo.request);
  echo.StartCall();
  echo.done.WaitForNotification();
  EXPECT_TRUE(echo.result.ok()) << echo.result.error_message();
  EXPECT_EQ(echo.reply.message(), "echo");
}

TEST_P(GrpcStubTest, AContextMayOutliveItsChannelAndBeCancelledLater) {
  grpc::ClientContext context;
  context.AddMetadata("tag", "kept");
  {
    const auto stub = Adapter::NewStub(nearcall::CreateChannel(server_->addresses().front()));
    HelloReply reply;
    ASSERT_TRUE(stub->SayHello(&context, Named("you"), &reply).ok());
  }
  context.TryCancel();
  ASSERT_EQ(context.GetServerInitialMetadata().count("tag"), 1u);
  EXPECT_EQ(context.GetServerInitialMetadata().find("tag")->second, "kept");
  EXPECT_EQ(context.GetServerTrailingMetadata().count("tag-bin"), 1u);
}

TEST(GrpcStubAloneTest, SaysWhyThereIsNoServer) {
  const auto stub = Adapter::NewStub(nearcall::CreateChannel("shm:grpc-adapter-test-nobody"));
  HelloReply reply;
  grpc::ClientContext context;
  const grpc::Status status = stub->SayHello(&context, Named("you"), &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_NE(status.error_message().find("grpc-adapter-test-nobody"), std::string::npos) << status.error_message();
  EXPECT_TRUE(context.GetServerInitialMetadata().empty());
  EXPECT_TRUE(context.GetServerTrailingMetadata().empty());
}

TEST(GrpcStubAloneTest, WaitsForItsServer) {
  const std::string address = "shm:grpc-adapter-test-later";
  const auto stub = Adapter::NewStub(nearcall::CreateChannel(address));
  grpc::Status status;
  HelloReply reply;
  std::thread caller([&] {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    status = stub->SayHello(&context, Named("you"), &reply);
  });
  // Not before it has found nobody.
  HelloReply ignored;
  nearcall::testing::Await([&] {
    grpc::ClientContext context;
    return !stub->SayHello(&context, Named("nobody"), &ignored).ok();
  });
  const auto greeter = NewNearcallGreeter();
  const auto server = Serve(greeter.get(), address);
  caller.join();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.message(), "Hello, you");
}

// Which gRPC itself does not send over a connection without TLS either.
TEST(GrpcStubAloneTest, RefusesCredentialsOfACall) {
  const auto greeter = NewNearcallGreeter();
  const auto server = Serve(greeter.get(), "shm:grpc-adapter-test");
  const auto stub = Adapter::NewStub(nearcall::CreateChannel("shm:grpc-adapter-test"));
  grpc::ClientContext context;
  context.set_credentials(grpc::AccessTokenCredentials("secret"));
  HelloReply reply;
  const grpc::Status status = stub->SayHello(&context, Named("you"), &reply);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << status.error_message();
  EXPECT_NE(status.error_message().find("set_credentials"), std::string::npos) << status.error_message();
  grpc::ClientContext streaming;
  streaming.set_credentials(grpc::AccessTokenCredentials("secret"));
  const auto stream = stub->Chat(&streaming);
  EXPECT_FALSE(stream->Read(&reply));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  // Other calls are as before.
  grpc::ClientContext without;
  EXPECT_TRUE(stub->SayHello(&without, Named("you"), &reply).ok());
}

// --- gRPC's services, our server ---

// What a handler sees of its context.
class Observer final : public helloworld::Greeter::Service {
 public:
  grpc::Status SayHello(grpc::ServerContext* context, const HelloRequest* request, HelloReply* reply) override {
    const std::string& what = request->name();
    if (what == "direct") reply->set_message(context->c_call() == nullptr ? "yes" : "no");
    if (what == "auth") reply->set_message(context->auth_context()->IsPeerAuthenticated() ? "yes" : "no");
    if (what == "peer") reply->set_message("'" + context->peer() + "'");
    if (what == "throw") throw std::runtime_error("thrown");
    if (what == "no deadline" && context->deadline() == std::chrono::system_clock::time_point::max()) {
      reply->set_message("yes");
    }
    if (what == "deadline") {
      const auto left = context->deadline() - std::chrono::system_clock::now();
      reply->set_message(left > std::chrono::minutes(50) && left <= std::chrono::hours(1) ? "yes" : "no");
    }
    if (what == "cancel") {
      context->TryCancel();
      while (!context->IsCancelled()) std::this_thread::yield();
      reply->set_message("never seen");
    }
    if (what == "wait") {
      waiting.Notify();
      while (!context->IsCancelled()) std::this_thread::yield();
      heard.Notify();
    }
    return grpc::Status::OK;
  }

  absl::Notification waiting;
  absl::Notification heard;
};

class GrpcServiceTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::string Ask(const std::string& what, grpc::StatusCode code = grpc::StatusCode::OK) {
    grpc::ClientContext context;
    if (what == "deadline") context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(1));
    HelloReply reply;
    const grpc::Status status = stub_->SayHello(&context, Named(what), &reply);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    return status.ok() ? reply.message() : status.error_message();
  }

  Observer observer_;
  const std::unique_ptr<nearcall::Service> service_ = Adapter::NewService(&observer_);
  const std::unique_ptr<nearcall::Server> server_ = Serve(service_.get(), GetParam());
  const std::unique_ptr<StubInterface> stub_ = Adapter::NewStub(nearcall::CreateChannel(server_->addresses().front()));
};

INSTANTIATE_TEST_SUITE_P(Addresses, GrpcServiceTest, ::testing::ValuesIn(kAddresses), NameOf);

TEST_P(GrpcServiceTest, UnaryMethodsAreCalledDirectly) { EXPECT_EQ(Ask("direct"), "yes"); }

TEST_P(GrpcServiceTest, AContextAnswersWhateverIsAsked) {
  EXPECT_EQ(Ask("auth"), "no");
  EXPECT_EQ(Ask("peer"), "''");
  EXPECT_EQ(Ask("deadline"), "yes");
  EXPECT_EQ(Ask("no deadline"), "yes");
  EXPECT_EQ(Ask("throw", grpc::StatusCode::UNKNOWN), "thrown");
}

TEST_P(GrpcServiceTest, AHandlerCancelsItsCall) { Ask("cancel", grpc::StatusCode::CANCELLED); }

TEST_P(GrpcServiceTest, AHandlerHearsThatItsCallerCancelled) {
  grpc::ClientContext context;
  std::thread canceller([&] {
    observer_.waiting.WaitForNotification();
    context.TryCancel();
  });
  HelloReply reply;
  EXPECT_EQ(stub_->SayHello(&context, Named("wait"), &reply).error_code(), grpc::StatusCode::CANCELLED);
  canceller.join();
  observer_.heard.WaitForNotification();
}

TEST_P(GrpcServiceTest, OurClientsAndItsCallEverything) {
  const auto implementation = NewGreeterService();
  const auto greeter = Adapter::NewService(implementation.get());
  const std::string address = std::string(GetParam()) == "tcp:127.0.0.1:0" ? GetParam() : std::string(GetParam()) + "2";
  const auto server = Serve(greeter.get(), address);
  const auto channel = nearcall::CreateChannel(server->addresses().front());
  EXPECT_EQ(TryNearcallStub(channel), "");
  EXPECT_EQ(TryStub(Adapter::NewStub(channel).get()), "");
}

// A call that is made on behalf of another, of gRPC's, ends with it.
TEST_P(GrpcServiceTest, ACallOnBehalfOfAnotherEndsWithIt) {
  struct Middle final : helloworld::Greeter::Service {
    explicit Middle(StubInterface* stub) : next(stub) {}
    grpc::Status SayHello(grpc::ServerContext* context, const HelloRequest* request, HelloReply* reply) override {
      const auto onward = grpc::ClientContext::FromServerContext(*context);
      status = next->SayHello(onward.get(), *request, reply);
      done.Notify();
      return status;
    }
    StubInterface* const next;
    grpc::Status status;
    absl::Notification done;
  } middle(stub_.get());
  grpc::ServerBuilder builder;
  builder.RegisterService(&middle);
  const auto server = builder.BuildAndStart();
  const auto stub = helloworld::Greeter::NewStub(server->InProcessChannel(grpc::ChannelArguments()));
  grpc::ClientContext context;
  std::thread canceller([&] {
    observer_.waiting.WaitForNotification();
    context.TryCancel();
  });
  HelloReply reply;
  EXPECT_EQ(stub->SayHello(&context, Named("wait"), &reply).error_code(), grpc::StatusCode::CANCELLED);
  canceller.join();
  observer_.heard.WaitForNotification();
  middle.done.WaitForNotification();
  EXPECT_EQ(middle.status.error_code(), grpc::StatusCode::CANCELLED);
}

// Its virtual functions for blocking calls end the program.
TEST(GrpcServiceAloneTest, ServicesInCallbackFormAreServedThroughGrpc) {
  class InCallbackForm final : public helloworld::Greeter::CallbackService {
    grpc::ServerUnaryReactor* SayHello(grpc::CallbackServerContext* context, const HelloRequest* request,
                                       HelloReply* reply) override {
      reply->set_message("called back, " + request->name());
      grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
      reactor->Finish(grpc::Status::OK);
      return reactor;
    }
  } implementation;
  const auto service = Adapter::NewService(&implementation);
  const auto server = Serve(service.get(), "shm:grpc-adapter-test");
  const auto stub = Adapter::NewStub(nearcall::CreateChannel("shm:grpc-adapter-test"));
  grpc::ClientContext context;
  HelloReply reply;
  const grpc::Status status = stub->SayHello(&context, Named("you"), &reply);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.message(), "called back, you");
}

}  // namespace
