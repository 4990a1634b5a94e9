// What the generated stubs and services ask of the runtime.

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "google/protobuf/empty.pb.h"
#include "gtest/gtest.h"
#include "nearcall/client_stream.h"
#include "nearcall/server_context.h"
#include "nearcall/service.h"
#include "renamed/v1/api.nearcall.h"
#include "tests/codegen/fake_channel.h"
#include "tests/codegen/prefixed/made.nearcall.h"
#include "tests/codegen/testdata/greeter.nearcall.h"
#include "tests/codegen/testdata/imports.nearcall.h"
#include "tests/codegen/testdata/names.nearcall.h"
#include "tests/codegen/testdata/no_package.nearcall.h"
#include "tests/codegen/testdata/no_service.nearcall.h"
#include "tests/codegen/testdata/std_package.nearcall.h"

namespace nearcall {
namespace {

using ::helloworld::Greeter;
using ::helloworld::HelloReply;
using ::helloworld::HelloRequest;
using ::testing::ElementsAre;

class StubTest : public ::testing::Test {
 protected:
  std::shared_ptr<FakeChannel> channel_ = std::make_shared<FakeChannel>();
  std::unique_ptr<Greeter::Stub> stub_ = Greeter::NewStub(channel_);
  ClientContext context_;
  HelloRequest request_;
  HelloReply response_;
};

TEST_F(StubTest, UnaryCall) {
  channel_->status = absl::NotFoundError("nobody");
  EXPECT_EQ(stub_->SayHello(&context_, request_, &response_), absl::NotFoundError("nobody"));
  EXPECT_THAT(channel_->calls, ElementsAre("/helloworld.Greeter/SayHello (unary)"));
  EXPECT_EQ(channel_->context, &context_);
}

TEST_F(StubTest, ShortForm) {
  absl::StatusOr<HelloReply> reply = stub_->SayHello(request_);
  EXPECT_TRUE(reply.ok());
  EXPECT_EQ(channel_->timeout, absl::InfiniteDuration());

  CallOptions options;
  options.timeout = absl::Hours(1);
  channel_->status = absl::NotFoundError("nobody");
  reply = stub_->SayHello(request_, options);
  EXPECT_EQ(reply.status(), absl::NotFoundError("nobody"));
  EXPECT_LT(channel_->timeout, absl::Hours(2));
}

TEST_F(StubTest, AsyncCall) {
  absl::Status status = absl::UnknownError("not called back");
  stub_->async()->SayHello(&context_, &request_, &response_, [&status](absl::Status got) { status = std::move(got); });
  EXPECT_THAT(channel_->calls, ElementsAre("async /helloworld.Greeter/SayHello (unary)"));
  EXPECT_EQ(status, absl::UnknownError("not called back"));
  channel_->done(absl::OkStatus());
  EXPECT_EQ(status, absl::OkStatus());
}

TEST_F(StubTest, AwaitableCall) {
  const auto call = stub_->async()->SayHello(&context_, &request_, &response_);
  EXPECT_THAT(channel_->calls, ElementsAre()) << "nothing begins before it is awaited";
  absl::Status status = absl::UnknownError("not called back");
  call.Start([&status](absl::Status got) { status = std::move(got); });
  EXPECT_THAT(channel_->calls, ElementsAre("async /helloworld.Greeter/SayHello (unary)"));
  EXPECT_EQ(channel_->context, &context_);
  channel_->done(absl::NotFoundError("nobody"));
  EXPECT_EQ(status, absl::NotFoundError("nobody"));
}

// Notes the end of its call.
template <class Reactor>
struct Ending : Reactor {
  absl::Status status = absl::UnknownError("not over");
  void OnDone(const absl::Status& s) override { status = s; }
};

TEST_F(StubTest, UnaryReactor) {
  Ending<ClientUnaryReactor> reactor;
  stub_->async()->SayHello(&context_, &request_, &response_, &reactor);
  EXPECT_THAT(channel_->calls, ElementsAre()) << "nothing begins before StartCall";
  reactor.StartCall();
  EXPECT_THAT(channel_->calls, ElementsAre("async /helloworld.Greeter/SayHello (unary)"));
  channel_->done(absl::NotFoundError("nobody"));
  EXPECT_EQ(reactor.status, absl::NotFoundError("nobody"));
}

TEST_F(StubTest, ClientStreamingReactor) {
  Ending<ClientWriteReactor<HelloRequest>> reactor;
  stub_->async()->Collect(&context_, &response_, &reactor);
  reactor.StartWrite(&request_);
  reactor.StartCall();
  channel_->DriveToEnd();
  EXPECT_THAT(channel_->calls, ElementsAre("async /helloworld.Greeter/Collect (client streaming)", "write", "read",
                                           "finish"));
  EXPECT_EQ(reactor.status.code(), absl::StatusCode::kInternal) << "no response came";
}

TEST_F(StubTest, ServerStreamingReactor) {
  channel_->status = absl::NotFoundError("nobody");
  Ending<ClientReadReactor<HelloReply>> reactor;
  stub_->async()->Repeat(&context_, &request_, &reactor);
  reactor.StartCall();
  channel_->DriveToEnd();
  EXPECT_THAT(channel_->calls,
              ElementsAre("async /helloworld.Greeter/Repeat (server streaming)", "write last", "finish"))
      << "the one request is sent without being asked for";
  EXPECT_EQ(reactor.status, absl::NotFoundError("nobody"));
}

TEST_F(StubTest, BidiReactor) {
  Ending<ClientBidiReactor<HelloRequest, HelloReply>> reactor;
  stub_->async()->Chat(&context_, &reactor);
  reactor.StartRead(&response_);
  reactor.StartWritesDone();
  reactor.StartCall();
  channel_->DriveToEnd();
  EXPECT_THAT(channel_->calls, ElementsAre("async /helloworld.Greeter/Chat (bidi streaming)", "writes done", "read",
                                           "finish"));
  EXPECT_EQ(reactor.status, absl::OkStatus());
}

TEST_F(StubTest, ClientStreaming) {
  std::unique_ptr<ClientWriter<HelloRequest>> writer = stub_->Collect(&context_, &response_);
  EXPECT_TRUE(writer->Write(request_));
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kInternal);  // no response came
  EXPECT_THAT(channel_->calls,
              ElementsAre("/helloworld.Greeter/Collect (client streaming)", "write", "writes done", "read", "finish"));
}

TEST_F(StubTest, ServerStreaming) {
  std::unique_ptr<ClientReader<HelloReply>> reader = stub_->Repeat(&context_, request_);
  EXPECT_FALSE(reader->Read(&response_));
  EXPECT_EQ(reader->Finish(), absl::OkStatus());
  EXPECT_THAT(channel_->calls,
              ElementsAre("/helloworld.Greeter/Repeat (server streaming)", "write last", "read", "finish"));
}

TEST_F(StubTest, BidiStreaming) {
  std::unique_ptr<ClientReaderWriter<HelloRequest, HelloReply>> stream = stub_->Chat(&context_);
  EXPECT_TRUE(stream->Write(request_));
  EXPECT_FALSE(stream->Read(&response_));
  EXPECT_EQ(stream->Finish(), absl::OkStatus());
  EXPECT_THAT(channel_->calls, ElementsAre("/helloworld.Greeter/Chat (bidi streaming)", "write", "read", "finish"));
}

TEST_F(StubTest, StreamsThroughTheInterface) {
  Greeter::StubInterface* interface = stub_.get();
  std::unique_ptr<ClientReaderInterface<HelloReply>> reader = interface->Repeat(&context_, request_);
  EXPECT_FALSE(reader->Read(&response_));
}

TEST_F(StubTest, TheStubKeepsItsChannel) {
  std::weak_ptr<FakeChannel> channel = channel_;
  channel_.reset();
  EXPECT_FALSE(channel.expired());
  stub_.reset();
  EXPECT_TRUE(channel.expired());
}

// "/package.Service/Method (type)" of each method that `service` serves, without the package.
std::vector<std::string> Served(const ::nearcall::Service& service) {
  std::vector<std::string> methods;
  for (const auto& entry : service.entries()) {
    const std::string name(entry.method->name());
    methods.push_back(absl::StrCat(name.substr(name.rfind('.') + 1), " (", Name(entry.method->type()), ")"));
  }
  return methods;
}

TEST(ServiceTest, RegistersItsMethods) {
  const Greeter::Service service;
  EXPECT_THAT(Served(service), ElementsAre("Greeter/SayHello (unary)", "Greeter/Collect (client streaming)",
                                           "Greeter/Repeat (server streaming)", "Greeter/Chat (bidi streaming)"));
  EXPECT_STREQ(Greeter::service_full_name(), "helloworld.Greeter");
  static_assert(std::is_base_of<::nearcall::Service, Greeter::Service>::value, "");
}

TEST(ServiceTest, MethodsAreUnimplemented) {
  Greeter::Service service;
  ServerContext context;
  HelloRequest request;
  HelloReply response;
  EXPECT_EQ(service.SayHello(&context, &request, &response),
            absl::UnimplementedError("/helloworld.Greeter/SayHello is not implemented"));
  EXPECT_EQ(service.Collect(&context, nullptr, &response),
            absl::UnimplementedError("/helloworld.Greeter/Collect is not implemented"));
  EXPECT_EQ(service.Repeat(&context, &request, nullptr),
            absl::UnimplementedError("/helloworld.Greeter/Repeat is not implemented"));
  EXPECT_EQ(service.Chat(&context, nullptr), absl::UnimplementedError("/helloworld.Greeter/Chat is not implemented"));
}

// A call whose one request is empty; keeps how it ended.
class FakeServerCall final : public internal::ServerCall {
 public:
  absl::Status status = absl::UnknownError("not finished");
  bool answered = false;

  ServerContext* context() override { return &context_; }
  bool Read(internal::InMessage /*message*/) override { return true; }
  bool Write(internal::OutMessage /*message*/, WriteOptions /*options*/) override { return true; }
  bool SendInitialMetadata() override { return true; }
  void Finish(const absl::Status& status) override { this->status = status; }
  void FinishWithMessage(internal::OutMessage /*message*/) override {
    status = absl::OkStatus();
    answered = true;
  }
  void TryCancel() override {}
  void WatchDeadline() override {}
  void StartDriving(std::shared_ptr<internal::ServerDriver> driver) override {
    if (driver->Drive()) driver->OnDone();
  }
  void Wake() override {}
  internal::Tried TryWrite(internal::OutMessage /*message*/, WriteOptions /*options*/) override {
    return internal::Tried::kDone;
  }
  internal::Tried TryRead(internal::InMessage /*message*/) override { return internal::Tried::kOver; }
  internal::Tried TrySendInitialMetadata() override { return internal::Tried::kDone; }
  internal::Tried TryFinish(const absl::Status& end, const internal::OutMessage* message) override {
    status = end;
    answered = message != nullptr;
    return internal::Tried::kDone;
  }

 private:
  ServerContext context_;
};

TEST(ServiceTest, HandlersCallTheOverrides) {
  class Implementation final : public Greeter::Service {
   public:
    absl::Status SayHello(ServerContext* /*context*/, const HelloRequest* /*request*/,
                          HelloReply* /*response*/) override {
      return absl::OkStatus();
    }
    absl::Status Chat(ServerContext* /*context*/, ServerReaderWriter<HelloReply, HelloRequest>* stream) override {
      return stream->Write(HelloReply()) ? absl::DataLossError("chat") : absl::OkStatus();
    }
  };
  Implementation service;
  FakeServerCall unary;
  service.entries()[0].handler->Run(&unary);
  EXPECT_TRUE(unary.answered);
  FakeServerCall bidi;
  service.entries()[3].handler->Run(&bidi);
  EXPECT_EQ(bidi.status, absl::DataLossError("chat"));
  FakeServerCall missing;
  service.entries()[2].handler->Run(&missing);
  EXPECT_EQ(missing.status.code(), absl::StatusCode::kUnimplemented);
}

TEST(ServiceTest, CallbackHandlersCallTheOverrides) {
  struct Reader final : ServerReadReactor<HelloRequest> {
    explicit Reader(bool* is_done) : done(is_done) { StartRead(&request); }
    void OnReadDone(bool ok) override { Finish(ok ? absl::InternalError("read") : absl::OkStatus()); }
    void OnDone() override {
      *done = true;
      delete this;
    }
    HelloRequest request;
    bool* done;
  };
  class Implementation final : public Greeter::CallbackService {
   public:
    ServerUnaryReactor* SayHello(CallbackServerContext* context, const HelloRequest* /*request*/,
                                 HelloReply* /*response*/) override {
      ServerUnaryReactor* const reactor = context->DefaultReactor();
      reactor->Finish(absl::DataLossError("unary"));
      return reactor;
    }
    ServerReadReactor<HelloRequest>* Collect(CallbackServerContext* /*context*/, HelloReply* /*response*/) override {
      return new Reader(&done);
    }
    bool done = false;
  };
  Implementation service;
  FakeServerCall unary;
  service.entries()[0].handler->Run(&unary);
  EXPECT_EQ(unary.status, absl::DataLossError("unary"));
  EXPECT_FALSE(unary.answered);
  FakeServerCall collect;
  service.entries()[1].handler->Run(&collect);
  EXPECT_EQ(collect.status, absl::OkStatus());
  EXPECT_TRUE(collect.answered);
  EXPECT_TRUE(service.done);
  FakeServerCall missing;
  service.entries()[3].handler->Run(&missing);
  EXPECT_EQ(missing.status.code(), absl::StatusCode::kUnimplemented);
}

TEST(NamesTest, TheWireSeesTheSpellingOfTheProto) {
  namespace n = ::names::absl::nearcall::testing::google;
  EXPECT_THAT(
      Served(n::Words::Service()),
      ElementsAre("Words/delete (unary)", "Words/class (client streaming)", "Words/co_await (server streaming)",
                  "Words/errno (unary)", "Words/assert (unary)", "Words/nearcall (unary)",
                  "Words/std (server streaming)", "Words/absl (client streaming)", "Words/google (bidi streaming)",
                  "Words/testing (unary)", "Words/names (unary)", "Words/Words (unary)"));
  EXPECT_THAT(Served(n::class_::Service()), ElementsAre("class/Get (unary)"));
  EXPECT_STREQ(n::class_::service_full_name(), "names.absl.nearcall.testing.google.class");
  EXPECT_THAT(Served(n::Stub_::Service()), ElementsAre("Stub/Get (unary)"));
  EXPECT_THAT(Served(n::Service_::Service()), ElementsAre("Service/Get (server streaming)"));
  EXPECT_THAT(Served(n::A::Service()), ElementsAre("A/B_C (unary)"));
  EXPECT_THAT(Served(n::A_B::Service()), ElementsAre("A_B/C (unary)"));
  EXPECT_THAT(Served(::nearcall_::Service()), ElementsAre("/nearcall/Call (unary)"));
  EXPECT_THAT(Served(::packages::std::nearcall::absl::std_::Service()).size(), 4);
}

TEST(NamesTest, Escapes) {
  namespace n = ::names::absl::nearcall::testing::google;
  const auto channel = std::make_shared<FakeChannel>();
  n::Text text;
  ClientContext context;
  const auto words = n::Words::NewStub(channel);
  EXPECT_EQ(words->delete_(&context, n::delete_(), nullptr), absl::OkStatus());
  EXPECT_NE(words->co_await_(&context, text), nullptr);
  EXPECT_EQ(words->Words(&context, text, &text), absl::OkStatus());
  const auto members = n::Members::NewStub(channel);
  EXPECT_EQ(members->Service_(&context, text, &text), absl::OkStatus());
  EXPECT_EQ(members->async_(&context, text, &text), absl::OkStatus());
  EXPECT_EQ(members->async__(&context, text, &text), absl::OkStatus());
  EXPECT_THAT(channel->calls,
              ElementsAre("/names.absl.nearcall.testing.google.Words/delete (unary)",
                          "/names.absl.nearcall.testing.google.Words/co_await (server streaming)", "write last",
                          "/names.absl.nearcall.testing.google.Words/Words (unary)",
                          "/names.absl.nearcall.testing.google.Members/Service (unary)",
                          "/names.absl.nearcall.testing.google.Members/async_ (unary)",  // keeps its spelling
                          "/names.absl.nearcall.testing.google.Members/async (unary)"));
}

TEST(ImportsTest, MessagesOfOtherPackages) {
  const auto channel = std::make_shared<FakeChannel>();
  const auto stub = ::outer::middle::inner::Imports::NewStub(channel);
  EXPECT_TRUE(stub->Ping(google::protobuf::Empty()).ok());
  absl::StatusOr<::other::base::Point> center = stub->Center(::other::Shape());
  ASSERT_TRUE(center.ok());
  EXPECT_EQ(center->y(), 7);
  EXPECT_TRUE(::made::Made::NewStub(channel)->Call(::prefixed::v1::Thing()).ok());
  EXPECT_STREQ(::prefixed::v1::Api::service_full_name(), "prefixed.v1.Api");
}

}  // namespace
}  // namespace nearcall
