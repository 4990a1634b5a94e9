// Interceptors see calls in callback form as they see the others: on a client that has reactors, on a server whose
// service is made of them, or both.

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "tests/services/call_log.h"
#include "tests/services/fixture.h"

namespace nearcall::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::StartsWith;

// --- The server -----------------------------------------------------------------------------------------------------

class SumReactor final : public ServerReadReactor<Payload> {
 public:
  explicit SumReactor(Payload* response) : response_(response) { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(absl::OkStatus());
    response_->set_number(response_->number() + message_.number());
    StartRead(&message_);
  }
  void OnDone() override { delete this; }

 private:
  Payload* const response_;
  Payload message_;
};

class CountReactor final : public ServerWriteReactor<Payload> {
 public:
  explicit CountReactor(int64_t count) : count_(count) { OnWriteDone(true); }
  void OnWriteDone(bool ok) override {
    if (!ok || count_ == 0) return Finish(absl::OkStatus());
    message_.set_number(count_--);
    if (count_ == 0) return StartWriteAndFinish(&message_, WriteOptions(), absl::OkStatus());
    StartWrite(&message_);
  }
  void OnDone() override { delete this; }

 private:
  int64_t count_;
  Payload message_;
};

// Sends back what it gets; throws when it gets "throw".
class EchoReactor final : public ServerBidiReactor<Payload, Payload> {
 public:
  EchoReactor() { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(absl::OkStatus());
    if (message_.data() == "throw") throw std::runtime_error("as asked");
    StartWrite(&message_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) StartRead(&message_);
  }
  void OnDone() override { delete this; }

 private:
  Payload message_;
};

// Does not finish before it is cancelled.
class IdleReactor final : public ServerUnaryReactor {
 public:
  void OnCancel() override { Finish(absl::OkStatus()); }
  void OnDone() override { delete this; }
};

class CallbackTestService final : public TestService::CallbackService {
 public:
  ServerUnaryReactor* Echo(CallbackServerContext* context, const Payload* request, Payload* response) override {
    *response = *request;
    context->DefaultReactor()->Finish(absl::OkStatus());
    return context->DefaultReactor();
  }
  ServerUnaryReactor* Fail(CallbackServerContext* context, const FailRequest* request, Payload*) override {
    context->DefaultReactor()->Finish(absl::Status(static_cast<absl::StatusCode>(request->code()), "as asked"));
    return context->DefaultReactor();
  }
  ServerUnaryReactor* Block(CallbackServerContext*, const GateRequest*, GateState*) override { return new IdleReactor; }
  ServerReadReactor<Payload>* Up(CallbackServerContext*, Payload* response) override {
    return new SumReactor(response);
  }
  ServerWriteReactor<Payload>* Down(CallbackServerContext*, const DownRequest* request) override {
    return new CountReactor(request->count());
  }
  ServerBidiReactor<Payload, Payload>* Chat(CallbackServerContext*) override { return new EchoReactor; }
};

// --- The client -----------------------------------------------------------------------------------------------------

class UnaryCaller final : public ClientUnaryReactor {
 public:
  void OnDone(const absl::Status& status) override {
    this->status = status;
    done.Notify();
  }
  absl::Status status;
  absl::Notification done;
};

// Sends messages one after the other, each after the answer to the last; then, as it is told, ends the call.
class Chatter final : public ClientBidiReactor<Payload, Payload> {
 public:
  explicit Chatter(std::vector<std::string> words) : words_(std::move(words)) {}
  void Start() {
    Say();
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) Say();
  }
  void OnDone(const absl::Status& status) override {
    this->status = status;
    done.Notify();
  }
  absl::Status status;
  absl::Notification done;
  bool cancel_at_end = false;

 private:
  void Say() {
    if (next_ == words_.size()) return cancel_at_end ? TryCancel() : StartWritesDone();
    message_.set_data(words_[next_++]);
    StartWrite(&message_);
    StartRead(&answer_);
  }

  const std::vector<std::string> words_;
  size_t next_ = 0;
  Payload message_;
  Payload answer_;
};

class Summer final : public ClientWriteReactor<Payload> {
 public:
  void Start() {
    OnWriteDone(true);
    StartCall();
  }
  void OnWriteDone(bool ok) override {
    if (!ok || ++number_ > 3) return;
    message_.set_number(number_);
    number_ == 3 ? StartWriteLast(&message_) : StartWrite(&message_);
  }
  void OnDone(const absl::Status& status) override {
    this->status = status;
    done.Notify();
  }
  absl::Status status;
  absl::Notification done;

 private:
  int number_ = 0;
  Payload message_;
};

class Counter final : public ClientReadReactor<Payload> {
 public:
  void Start() {
    StartRead(&message_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (ok) StartRead(&message_);
  }
  void OnDone(const absl::Status& status) override {
    this->status = status;
    done.Notify();
  }
  absl::Status status;
  absl::Notification done;

 private:
  Payload message_;
};

// --- Both -----------------------------------------------------------------------------------------------------------

class InterceptorReactorTest : public ServicesTest {
 protected:
  void SetUp() override {
    channel_options_.interceptors = {std::make_shared<LoggingClient>("C", &client_)};
    builder_.AddInterceptor(std::make_shared<LoggingServer>("S", &server_log_));
    Start();
    stub_ = StubOf<TestService>();
  }
  void TearDown() override {
    stub_ = nullptr;
    ServicesTest::TearDown();
  }
  Service* service() override { return &callback_service_; }

  CallLog client_;
  CallLog server_log_;
  CallbackTestService callback_service_;
  std::unique_ptr<TestService::Stub> stub_;
  ClientContext context_;
};

TEST_P(InterceptorReactorTest, Unary) {
  Payload request, response;
  request.set_data("12345");
  UnaryCaller caller;
  stub_->async()->Echo(&context_, &request, &response, &caller);
  caller.StartCall();
  caller.done.WaitForNotification();
  EXPECT_TRUE(caller.status.ok());
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Echo", "C sent 7", "C received 7", "C end OK 1/7 1/7"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Echo", "S received 7", "S sent 7", "S end OK 1/7 1/7"));
}

TEST_P(InterceptorReactorTest, UnaryWithAnError) {
  FailRequest request;
  request.set_code(static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_EQ(stub_->Fail(request).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Fail", "C sent 2", "C end DATA_LOSS 1/2 0/0"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Fail", "S received 2", "S end DATA_LOSS 0/0 1/2"));
}

TEST_P(InterceptorReactorTest, AMethodWithoutReactor) {
  EXPECT_EQ(stub_->Look(GateRequest()).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Look", "C sent 0", "C end UNIMPLEMENTED 1/0 0/0"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Look", "S received 0", "S end UNIMPLEMENTED 0/0 1/0"));
}

TEST_P(InterceptorReactorTest, UnaryCancelledByTheCaller) {
  const GateRequest request;
  GateState state;
  UnaryCaller caller;
  stub_->async()->Block(&context_, &request, &state, &caller);
  caller.StartCall();
  server_log_.Await("S received 0");
  context_.TryCancel();
  caller.done.WaitForNotification();
  EXPECT_EQ(caller.status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Block", "C sent 0", "C end CANCELLED 1/0 0/0"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Block", "S received 0", "S end CANCELLED 0/0 1/0"));
}

TEST_P(InterceptorReactorTest, UnaryPastItsDeadline) {
  GateState state;
  context_.set_timeout(absl::Milliseconds(20));
  EXPECT_EQ(stub_->Block(&context_, GateRequest(), &state).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(client_.AfterEnds(1), Contains(StartsWith("C end DEADLINE_EXCEEDED")).Times(1));
  server_->Shutdown();
  // A call that comes late has no handler. If this one had, its end was seen.
  int open = 0;
  for (const std::string& event : server_log_.events()) {
    open += absl::StrContains(event, " call ") ? 1 : 0;
    open -= absl::StrContains(event, " end ") ? 1 : 0;
  }
  EXPECT_EQ(open, 0);
}

TEST_P(InterceptorReactorTest, ClientStreaming) {
  Summer summer;
  Payload response;
  stub_->async()->Up(&context_, &response, &summer);
  summer.Start();
  summer.done.WaitForNotification();
  EXPECT_TRUE(summer.status.ok()) << summer.status;
  EXPECT_EQ(response.number(), 6);
  EXPECT_THAT(client_.AfterEnds(1),
              ElementsAre("C call Up up", "C sent 2", "C sent 2", "C sent 2", "C received 2", "C end OK 3/6 1/2"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Up up", "S received 2", "S received 2", "S received 2",
                                                    "S sent 2", "S end OK 1/2 3/6"));
}

TEST_P(InterceptorReactorTest, ServerStreaming) {
  Counter counter;
  DownRequest request;
  request.set_count(3);
  stub_->async()->Down(&context_, &request, &counter);
  counter.Start();
  counter.done.WaitForNotification();
  EXPECT_TRUE(counter.status.ok()) << counter.status;
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Down down", "C sent 2", "C received 2", "C received 2",
                                                "C received 2", "C end OK 1/2 3/6"));
  EXPECT_THAT(server_log_.AfterEnds(1),
              ElementsAre("S call Down down", "S received 2", "S sent 2", "S sent 2", "S sent 2", "S end OK 3/6 1/2"));
}

TEST_P(InterceptorReactorTest, BidiStreaming) {
  Chatter chatter({"a", "bb"});
  stub_->async()->Chat(&context_, &chatter);
  chatter.Start();
  chatter.done.WaitForNotification();
  EXPECT_TRUE(chatter.status.ok()) << chatter.status;
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Chat up down", "C sent 3", "C received 3", "C sent 4",
                                                "C received 4", "C end OK 2/7 2/7"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Chat up down", "S received 3", "S sent 3", "S received 4",
                                                    "S sent 4", "S end OK 2/7 2/7"));
}

TEST_P(InterceptorReactorTest, AReactionThatThrows) {
  Chatter chatter({"throw"});
  stub_->async()->Chat(&context_, &chatter);
  chatter.Start();
  chatter.done.WaitForNotification();
  EXPECT_EQ(chatter.status, absl::UnknownError("as asked"));
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Chat up down", "C sent 7", "C end UNKNOWN 1/7 0/0"));
  EXPECT_THAT(server_log_.AfterEnds(1), ElementsAre("S call Chat up down", "S received 7", "S end UNKNOWN 0/0 1/7"));
}

TEST_P(InterceptorReactorTest, AStreamCancelledByTheCaller) {
  Chatter chatter({"a"});
  chatter.cancel_at_end = true;
  stub_->async()->Chat(&context_, &chatter);
  chatter.Start();
  chatter.done.WaitForNotification();
  EXPECT_EQ(chatter.status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(client_.AfterEnds(1),
              ElementsAre("C call Chat up down", "C sent 3", "C received 3", "C end CANCELLED 1/3 1/3"));
  EXPECT_THAT(server_log_.AfterEnds(1),
              ElementsAre("S call Chat up down", "S received 3", "S sent 3", "S end CANCELLED 1/3 1/3"));
}

TEST_P(InterceptorReactorTest, TheServerGoesAway) {
  auto stream = stub_->Chat(&context_);
  Payload message;
  EXPECT_TRUE(stream->Write(message));
  EXPECT_TRUE(stream->Read(&message));
  server_->Shutdown(absl::InfinitePast());
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(client_.AfterEnds(1), Contains("C end CANCELLED 1/0 1/0").Times(1));
  EXPECT_THAT(server_log_.AfterEnds(1), Contains("S end CANCELLED 1/0 1/0").Times(1));

  ClientContext context;
  Chatter chatter({"a"});
  stub_->async()->Chat(&context, &chatter);
  chatter.Start();
  chatter.done.WaitForNotification();
  EXPECT_EQ(chatter.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(client_.AfterEnds(1), ElementsAre("C call Chat up down", "C end UNAVAILABLE 0/0 0/0"));
}

INSTANTIATE_TEST_SUITE_P(Over, InterceptorReactorTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
