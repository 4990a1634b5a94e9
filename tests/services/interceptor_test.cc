// Interceptors see every call once, from its beginning to its end, whatever kind it is and however it ends.

#include "nearcall/interceptor.h"

#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "tests/services/call_log.h"
#include "tests/services/fixture.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class InterceptorTest : public ServicesTest {
 protected:
  void SetUp() override {
    channel_options_.interceptors = {std::make_shared<LoggingClient>("C", &client_)};
    builder_.AddInterceptor(std::make_shared<LoggingServer>("S", &server_log_));
    Start();
    stub_ = StubOf<TestService>();
    plain_ = TestService::NewStub(CreateChannel(channel_->address()));
  }
  void TearDown() override {
    stub_ = nullptr;
    plain_ = nullptr;
    ServicesTest::TearDown();
  }
  static Payload Message(const std::string& data) {
    Payload payload;
    payload.set_data(data);
    return payload;
  }
  GateRequest Gate() {
    GateRequest gate;
    gate.set_gate("gate");
    return gate;
  }
  // Waits until a call is at the gate, with calls that the client's interceptors do not see.
  void AwaitAtGate() {
    Await([this] { return plain_->Look(Gate())->entered() > 0; });
  }
  CallLog client_;
  CallLog server_log_;
  std::unique_ptr<TestService::Stub> stub_;
  std::unique_ptr<TestService::Stub> plain_;  // on a channel without interceptors
};

TEST_P(InterceptorTest, Unary) {
  EXPECT_TRUE(stub_->Echo(Message("12345")).ok());
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Echo", "C sent 7", "C received 7", "C end OK 1/7 1/7"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Echo", "S received 7", "S sent 7", "S end OK 1/7 1/7"));
}

TEST_P(InterceptorTest, UnaryWithAnError) {
  FailRequest request;
  request.set_code(static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_FALSE(stub_->Fail(request).ok());
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Fail", "C sent 2", "C end DATA_LOSS 1/2 0/0"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Fail", "S received 2", "S end DATA_LOSS 0/0 1/2"));
}

TEST_P(InterceptorTest, AHandlerThatThrows) {
  for (const char* what : {"oh", ""}) {
    ThrowRequest request;
    request.set_what(what);
    EXPECT_FALSE(stub_->Throw(request).ok());
    EXPECT_THAT(client_.AfterEnds(1), Contains(StartsWith("C end UNKNOWN")).Times(1));
    EXPECT_THAT(server_log_.AfterEnds(1), Contains(StartsWith("S end UNKNOWN")).Times(1));
  }
}

TEST_P(InterceptorTest, Async) {
  for (const bool fails : {false, true}) {
    ClientContext context;
    FailRequest request;
    if (fails) request.set_code(static_cast<int>(absl::StatusCode::kNotFound));
    Payload response;
    absl::Notification done;
    stub_->async()->Fail(&context, &request, &response, [&](absl::Status status) {
      EXPECT_EQ(status.ok(), !fails);
      // The interceptors knew first.
      EXPECT_THAT(client_.events(), Contains(StartsWith("C end")).Times(1));
      done.Notify();
    });
    done.WaitForNotification();
    if (fails) {
      EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Fail", "C sent 2", "C end NOT_FOUND 1/2 0/0"));
    } else {
      EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Fail", "C sent 0", "C received 0", "C end OK 1/0 1/0"));
    }
  }
}

TEST_P(InterceptorTest, ClientStreaming) {
  ClientContext context;
  Payload response;
  auto writer = stub_->Up(&context, &response);
  EXPECT_TRUE(writer->Write(Message("1")));
  EXPECT_TRUE(writer->Write(Message("22")));
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_THAT(client_.AfterEnds(1),
              ElementsAre("C call Up up", "C sent 3", "C sent 4", "C received 3", "C end OK 2/7 1/3"));
  EXPECT_THAT(server_log_.AfterEnds(1),
              ElementsAre("S call Up up", "S received 3", "S received 4", "S sent 3", "S end OK 1/3 2/7"));
}

TEST_P(InterceptorTest, ServerStreaming) {
  ClientContext context;
  DownRequest request;
  request.set_count(3);
  request.set_size(10);
  auto reader = stub_->Down(&context, request);
  Payload message;
  while (reader->Read(&message)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Down down", "C sent 4", "C received 12", "C received 14",
                                                "C received 14", "C end OK 1/4 3/40"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Down down", "S received 4", "S sent 12", "S sent 14",
                                                    "S sent 14", "S end OK 3/40 1/4"));
}

TEST_P(InterceptorTest, BidiStreaming) {
  ClientContext context;
  auto stream = stub_->Chat(&context);
  Payload message;
  for (const char* data : {"a", "bb"}) {
    EXPECT_TRUE(stream->Write(Message(data)));
    EXPECT_TRUE(stream->Read(&message));
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Chat up down", "C sent 3", "C received 3", "C sent 4",
                                                "C received 4", "C end OK 2/7 2/7"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Chat up down", "S received 3", "S sent 3", "S received 4",
                                                    "S sent 4", "S end OK 2/7 2/7"));
}

TEST_P(InterceptorTest, AStreamThatIsDropped) {
  {
    ClientContext context;
    auto stream = stub_->Chat(&context);
    Payload message;
    EXPECT_TRUE(stream->Write(Message("a")));
    EXPECT_TRUE(stream->Read(&message));
  }
  EXPECT_THAT(client_.AfterEnds(1),
              ElementsAre("C call Chat up down", "C sent 3", "C received 3", "C end CANCELLED 1/3 1/3"));
  EXPECT_THAT(server_log_.AfterEnds(1),
              ElementsAre("S call Chat up down", "S received 3", "S sent 3", "S end CANCELLED 1/3 1/3"));
}

TEST_P(InterceptorTest, CancelledByTheCaller) {
  ClientContext context;
  GateState state;
  std::thread canceller([&] {
    AwaitAtGate();
    context.TryCancel();
  });
  EXPECT_EQ(stub_->Block(&context, Gate(), &state).code(), absl::StatusCode::kCancelled);
  canceller.join();
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Block", "C sent 6", "C end CANCELLED 1/6 0/0"));
  server_log_.Await("S end CANCELLED 0/0 1/6");
}

TEST_P(InterceptorTest, AStreamCancelledByTheCaller) {
  ClientContext context;
  auto stream = stub_->Chat(&context);
  Payload message;
  EXPECT_TRUE(stream->Write(Message("a")));
  EXPECT_TRUE(stream->Read(&message));
  context.TryCancel();
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  stream = nullptr;
  EXPECT_THAT(client_.AfterEnds(1),
              ElementsAre("C call Chat up down", "C sent 3", "C received 3", "C end CANCELLED 1/3 1/3"));
  EXPECT_THAT(server_log_.AfterEnds(1), Contains("S end CANCELLED 1/3 1/3").Times(1));
}

TEST_P(InterceptorTest, PastItsDeadline) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(20));
  GateState state;
  EXPECT_EQ(stub_->Block(&context, Gate(), &state).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Block", "C sent 6", StartsWith("C end DEADLINE_EXCEEDED")));
  // The call may have been too late for its handler; if it was not, its end was seen.
  ClientContext stream_context;
  stream_context.set_timeout(absl::Milliseconds(20));
  Payload message;
  auto stream = stub_->Chat(&stream_context);
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Chat up down", "C end DEADLINE_EXCEEDED 0/0 0/0"));
  server_->Shutdown();
  int open = 0;
  for (const std::string& event : server_log_.events()) {
    open += absl::StrContains(event, " call ") ? 1 : 0;
    if (!absl::StrContains(event, " end ")) continue;
    --open;
    EXPECT_THAT(event, AnyOf(StartsWith("S end DEADLINE_EXCEEDED"), StartsWith("S end CANCELLED")));
  }
  EXPECT_EQ(open, 0);
}

TEST_P(InterceptorTest, TheServerGoesAway) {
  ClientContext context;
  Payload message;
  auto stream = stub_->Chat(&context);
  EXPECT_TRUE(stream->Write(Message("a")));
  EXPECT_TRUE(stream->Read(&message));
  server_->Shutdown(absl::InfinitePast());
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(client_.AfterEnds(1),
              ElementsAre("C call Chat up down", "C sent 3", "C received 3", "C end CANCELLED 1/3 1/3"));
  EXPECT_THAT(server_log_.AfterEnds(1), Contains("S end CANCELLED 1/3 1/3").Times(1));

  EXPECT_EQ(stub_->Echo(Message("a")).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(client_.AfterEnds(1), Contains(StartsWith("C end UNAVAILABLE")).Times(1));
  EXPECT_THAT(server_log_.events(), IsEmpty());
}

TEST_P(InterceptorTest, TheClientGoesAway) {
  ClientContext context;
  {
    Payload response;
    auto stream = TestService::NewStub(CreateChannel(channel_->address()))->BlockUp(&context, &response);
    EXPECT_TRUE(stream->Write(Message("gate")));
    AwaitAtGate();
  }
  server_log_.Await("S end CANCELLED 0/0 1/6");
}

TEST_P(InterceptorTest, NobodyListens) {
  const std::vector<std::string> addresses = {
      absl::StrCat("unix:/tmp/nearcall.nobody.", getpid()),  // no such server
      "nonsense:x",                                          // no such transport
  };
  for (const std::string& address : addresses) {
    const auto stub = TestService::NewStub(CreateChannel(address, channel_options_));
    EXPECT_FALSE(stub->Echo(Message("a")).ok());
    EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Echo", StartsWith("C end "))) << address;
    ClientContext context;
    EXPECT_FALSE(stub->Chat(&context)->Finish().ok());
    EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Chat up down", StartsWith("C end "))) << address;
    ClientContext async_context;
    Payload request, response;
    absl::Notification done;
    stub->async()->Echo(&async_context, &request, &response, [&](const absl::Status&) { done.Notify(); });
    done.WaitForNotification();
    EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Echo", StartsWith("C end "))) << address;
  }
}

TEST_P(InterceptorTest, AContextThatHasHadItsCallGetsNoOther) {
  ClientContext context;
  Payload response;
  EXPECT_TRUE(stub_->Echo(&context, Message("a"), &response).ok());
  EXPECT_EQ(client_.AfterEnds(1).size(), 4);
  EXPECT_EQ(stub_->Echo(&context, Message("a"), &response).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(stub_->Chat(&context)->Finish().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(client_.events(), IsEmpty());
}

TEST_P(InterceptorTest, AMethodThatIsNotThereIsTheClientsAlone) {
  const auto absent = StubOf<AbsentService>();
  EXPECT_EQ(absent->Echo(Message("a")).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(client_.AfterEnds(1), Contains(StartsWith("C end UNIMPLEMENTED")).Times(1));
  EXPECT_THAT(server_log_.events(), IsEmpty());
}

TEST_P(InterceptorTest, MetadataOfInterceptorsTravels) {
  const absl::StatusOr<CallInfo> info = stub_->Inspect(InspectRequest());
  ASSERT_TRUE(info.ok()) << info.status();
  ASSERT_EQ(info->metadata_size(), 1);
  EXPECT_EQ(info->metadata(0).key(), "seen-by");
  EXPECT_EQ(info->metadata(0).value(), "C");
}

INSTANTIATE_TEST_SUITE_P(Over, InterceptorTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

// Several of them, which a test chooses.
class InterceptorsTest : public ServicesTest {
 protected:
  CallLog log_;
};

TEST_P(InterceptorsTest, InInOrderAndOutInReverse) {
  channel_options_.interceptors = {std::make_shared<LoggingClient>("C1", &log_),
                                   std::make_shared<LoggingClient>("C2", &log_)};
  builder_.AddInterceptor(std::make_shared<LoggingServer>("S1", &log_));
  builder_.AddInterceptor(std::make_shared<LoggingServer>("S2", &log_));
  Start();
  const auto stub = StubOf<TestService>();
  ClientContext context;
  auto stream = stub->Chat(&context);
  EXPECT_TRUE(stream->Write(Payload()));
  Payload message;
  EXPECT_TRUE(stream->Read(&message));
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
  std::vector<std::string> client, server;
  for (const std::string& event : log_.AfterEnds(4)) (event[0] == 'C' ? client : server).push_back(event);
  EXPECT_THAT(client, ElementsAre("C1 call Chat up down", "C2 call Chat up down", "C1 sent 0", "C2 sent 0",
                                  "C2 received 0", "C1 received 0", "C2 end OK 1/0 1/0", "C1 end OK 1/0 1/0"));
  EXPECT_THAT(server, ElementsAre("S1 call Chat up down", "S2 call Chat up down", "S1 received 0", "S2 received 0",
                                  "S2 sent 0", "S1 sent 0", "S2 end OK 1/0 1/0", "S1 end OK 1/0 1/0"));
}

TEST_P(InterceptorsTest, AServersInterceptorMayRefuse) {
  auto refusing = std::make_shared<LoggingServer>("S2", &log_);
  refusing->Refuse(absl::PermissionDeniedError("not you"));
  builder_.AddInterceptor(std::make_shared<LoggingServer>("S1", &log_));
  builder_.AddInterceptor(refusing);
  builder_.AddInterceptor(std::make_shared<LoggingServer>("S3", &log_));
  Start();
  const auto stub = StubOf<TestService>();
  EXPECT_EQ(stub->Echo(Payload()).status(), absl::PermissionDeniedError("not you"));
  EXPECT_THAT(log_.AfterEnds(1), ElementsAre("S1 call Echo", "S2 call Echo", "S1 end PERMISSION_DENIED 0/0 0/0"));
  ClientContext context;
  auto stream = stub->Chat(&context);
  EXPECT_EQ(stream->Finish(), absl::PermissionDeniedError("not you"));
  EXPECT_THAT(log_.AfterEnds(1),
              ElementsAre("S1 call Chat up down", "S2 call Chat up down", "S1 end PERMISSION_DENIED 0/0 0/0"));
}

// Knows who calls, answers with metadata of its own, and refuses calls without a password.
class Guard final : public ServerInterceptor {
 public:
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo&, ServerContext* context) override {
    EXPECT_FALSE(context->transport().empty());
    EXPECT_NE(context->deadline(), absl::InfiniteFuture());
    context->AddTrailingMetadata("guarded", "yes");
    if (context->client_metadata().Get("password") != "secret") return absl::UnauthenticatedError("no password");
    return nullptr;
  }
};

// Brings the password, and a deadline.
class Credentials final : public ClientInterceptor {
 public:
  std::unique_ptr<CallListener> OnCall(const MethodInfo&, ClientContext* context) override {
    EXPECT_TRUE(context->metadata().empty());
    context->AddMetadata("password", "secret");
    context->set_timeout(absl::Minutes(10));
    return nullptr;
  }
};

TEST_P(InterceptorsTest, CredentialsAreAdded) {
  channel_options_.interceptors = {std::make_shared<Credentials>()};
  builder_.AddInterceptor(std::make_shared<Guard>());
  Start();
  ClientContext context;
  Payload response;
  EXPECT_TRUE(StubOf<TestService>()->Echo(&context, Payload(), &response).ok());
  EXPECT_EQ(context.GetServerTrailingMetadata().Get("guarded"), "yes");

  ClientContext without;
  without.set_timeout(absl::Minutes(10));
  const auto plain = TestService::NewStub(CreateChannel(channel_->address()));
  EXPECT_EQ(plain->Echo(&without, Payload(), &response), absl::UnauthenticatedError("no password"));
  EXPECT_EQ(without.GetServerTrailingMetadata().Get("guarded"), "yes");
}

class Throws final : public ServerInterceptor {
 public:
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo&, ServerContext*) override {
    throw std::runtime_error("thrown");
  }
};

TEST_P(InterceptorsTest, AnInterceptorThatThrowsRefuses) {
  builder_.AddInterceptor(std::make_shared<LoggingServer>("S", &log_));
  builder_.AddInterceptor(std::make_shared<Throws>());
  Start();
  EXPECT_EQ(StubOf<TestService>()->Echo(Payload()).status(), absl::UnknownError("thrown"));
  EXPECT_THAT(log_.AfterEnds(1), ElementsAre("S call Echo", "S end UNKNOWN 0/0 0/0"));
}

// Streams and asynchronous calls outlive the stub and the channel that they were made with, and their interceptors with
// them.
TEST_P(InterceptorsTest, CallsKeepTheirInterceptors) {
  channel_options_.interceptors = {std::make_shared<LoggingClient>("C", &log_)};
  Start();
  std::weak_ptr<ClientInterceptor> interceptor = channel_options_.interceptors[0];
  channel_options_.interceptors.clear();
  ClientContext context;
  auto stream = StubOf<TestService>()->Chat(&context);
  channel_ = nullptr;
  EXPECT_FALSE(interceptor.expired());
  stream = nullptr;
  EXPECT_TRUE(interceptor.expired());
  EXPECT_THAT(log_.AfterEnds(1), ElementsAre("C call Chat up down", "C end CANCELLED 0/0 0/0"));
}

TEST_P(InterceptorsTest, CallsSideBySide) {
  channel_options_.interceptors = {std::make_shared<LoggingClient>("C", &log_)};
  builder_.AddInterceptor(std::make_shared<LoggingServer>("S", &log_));
  Start();
  constexpr int kThreads = 4, kCalls = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      const auto stub = StubOf<TestService>();
      for (int j = 0; j < kCalls; ++j) EXPECT_TRUE(stub->Echo(Payload()).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  int client = 0, server = 0;
  for (const std::string& event : log_.AfterEnds(2 * kThreads * kCalls)) {
    client += event == "C end OK 1/0 1/0" ? 1 : 0;
    server += event == "S end OK 1/0 1/0" ? 1 : 0;
  }
  EXPECT_EQ(client, kThreads * kCalls);
  EXPECT_EQ(server, kThreads * kCalls);
}

INSTANTIATE_TEST_SUITE_P(Over, InterceptorsTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
