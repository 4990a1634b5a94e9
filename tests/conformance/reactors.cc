// What only calls with reactors can do, seen from the client. That reactors do what blocking calls do is for the rest
// of the suite, with stubs and services of reactors.

#include "tests/conformance/reactors.h"

#include <signal.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/conformance/conformance.h"
#include "tests/testing/process.h"

namespace nearcall::testing {
namespace {

// A conversation that a test drives by hand.
class Talk final : public ClientBidiReactor<Payload, Payload> {
 public:
  explicit Talk(TestService::StubInterface* stub) { stub->async()->Chat(&context, this); }

  void Write(const Payload& message) {
    sent = message;
    Operate([this] { StartWrite(&sent); });
  }
  void Read() {
    Operate([this] { StartRead(&got); });
  }
  void WritesDone() {
    Operate([this] { StartWritesDone(); });
  }
  void Begin() {
    Operate([this] { StartCall(); });
  }

  void OnReadInitialMetadataDone(bool ok) override { Happened(metadata, ok); }
  void OnReadDone(bool ok) override { Happened(on_read, ok); }
  void OnWriteDone(bool ok) override { Happened(on_write, ok); }
  void OnWritesDoneDone(bool ok) override { Happened(on_writes_done, ok); }
  void OnDone(const absl::Status& s) override {
    checker.Last();
    status = s;
    over.Notify();
  }
  absl::Status Wait() {
    over.WaitForNotification();
    return status;
  }

  ClientContext context;
  Payload sent, got;
  absl::Status status;
  absl::Notification over;
  Checker checker;
  // What the reactions do; set before the call begins.
  std::function<void(bool)> metadata, on_read, on_write, on_writes_done;

 private:
  void Happened(const std::function<void(bool)>& reaction, bool ok) {
    const Checker::Scope scope(&checker);
    if (reaction) reaction(ok);
  }
};

// Endless messages down, of which it reads as many as it is told to.
class Listener final : public ClientReadReactor<Payload> {
 public:
  Listener(TestService::StubInterface* stub, const std::string& gate, int64_t size) {
    request_.set_gate(gate);
    request_.set_count(int64_t{1} << 40);
    request_.set_size(size);
    stub->async()->Down(&context_, &request_, this);
    AddHold();
    StartCall();
  }
  ~Listener() override {
    TryCancel();
    RemoveHold();
    over_.WaitForNotification();
  }

 private:
  void OnDone(const absl::Status&) override { over_.Notify(); }

  ClientContext context_;
  DownRequest request_;
  absl::Notification over_;
};

// A unary call that waits at a gate.
class Waiting final : public ClientUnaryReactor {
 public:
  Waiting(TestService::StubInterface* stub, const std::string& gate, absl::BlockingCounter* over) : over_(over) {
    request_.set_gate(gate);
    stub->async()->Block(&context, &request_, &response_, this);
    StartCall();
  }
  void OnDone(const absl::Status& s) override {
    status = s;
    over_->DecrementCount();
  }

  ClientContext context;
  absl::Status status;

 private:
  absl::BlockingCounter* const over_;
  GateRequest request_;
  GateState response_;
};

// How many threads a process may have gained for thousands of reactors. It needs few, and a machine that is busy with
// other things adds one for each tick in which nothing got on.
constexpr int kFewThreads = 40;

int ThreadsOf(pid_t pid) { return Resources::Of(pid).threads; }

TEST_P(Conformance, OperationsStartedBeforeTheCallHappenInIt) {
  StartServer();
  const Stub stub = Connect();
  Talk talk(stub.get());
  std::atomic<int> metadata{0}, reads{0}, writes{0};
  talk.metadata = [&](bool ok) {
    EXPECT_TRUE(ok);
    EXPECT_EQ(reads, 0);
    ++metadata;
  };
  talk.on_read = [&](bool ok) {
    EXPECT_EQ(ok, ++reads == 1);
    if (!ok) return;
    EXPECT_EQ(talk.got.number(), 7);
    talk.Read();
  };
  talk.on_write = [&](bool ok) {
    EXPECT_TRUE(ok);
    ++writes;
  };
  talk.Read();
  talk.Write(PayloadOf(100, 7));
  talk.WritesDone();
  talk.Begin();
  EXPECT_TRUE(talk.Wait().ok()) << talk.status;
  EXPECT_EQ(metadata, 1);
  EXPECT_EQ(reads, 2);
  EXPECT_EQ(writes, 1);
}

// One thread reads, another writes, reactions start the next of each; the hold is what keeps the call's end away.
TEST_P(Conformance, OperationsMayComeFromOtherThreads) {
  constexpr int kCount = 2000;
  StartServer();
  const Stub stub = Connect();
  for (int round = 0; round < 3; ++round) {
    Talk talk(stub.get());
    std::atomic<int> read{0}, written{0};
    std::atomic<bool> end{false};
    talk.on_read = [&](bool ok) {
      if (!ok) {
        end = true;
        return;
      }
      EXPECT_EQ(talk.got.number(), read);
      if (++read % 2 == 0) talk.Read();  // every other time it is for the thread
    };
    talk.on_write = [&](bool ok) {
      EXPECT_TRUE(ok);
      if (++written % 3 != 0 && written < kCount) talk.Write(PayloadOf(50, written));
    };
    talk.AddHold();
    talk.Begin();
    std::thread reader([&] {
      talk.Read();
      for (int next = 1; next < kCount; next += 2) {
        Await([&] { return read >= next; });
        talk.Read();
      }
      Await([&] { return end.load(); });
    });
    std::thread writer([&] {
      talk.Write(PayloadOf(50, 0));
      for (int next = 3; next < kCount; next += 3) {
        Await([&] { return written >= next; });
        talk.Write(PayloadOf(50, next));
      }
      Await([&] { return written == kCount; });
      talk.WritesDone();
    });
    reader.join();
    writer.join();
    EXPECT_EQ(read, kCount);
    // The call has ended, and everything started has had its reaction; the callback thread goes round meanwhile.
    for (int i = 0; i < 50; ++i) {
      absl::BlockingCounter went_round(1);
      Waiting other(stub.get(), "open", &went_round);
      if (i == 0 && round == 0) OpenGate(stub.get(), "open");
      went_round.Wait();
      ASSERT_FALSE(talk.over.HasBeenNotified());
    }
    talk.RemoveHold();
    EXPECT_TRUE(talk.Wait().ok()) << talk.status;
  }
}

TEST_P(Conformance, SeveralHoldsAreAsManyToRemove) {
  StartServer();
  const Stub stub = Connect();
  Talk talk(stub.get());
  talk.AddMultipleHolds(3);
  talk.Begin();
  talk.WritesDone();
  talk.Read();
  talk.RemoveHold();
  talk.RemoveHold();
  for (int i = 0; i < 50; ++i) ExpectServes(stub.get());
  EXPECT_FALSE(talk.over.HasBeenNotified());
  std::thread([&] { talk.RemoveHold(); }).join();
  EXPECT_TRUE(talk.Wait().ok()) << talk.status;
}

TEST_P(Conformance, ManyReactorsNeedFewThreads) {
  // With methods that block each of them takes a thread in the server.
  const int calls = service_has_reactors() ? 2000 : 40;
  ServerOptions options;
  options.max_concurrent_calls_per_connection = calls + 10;
  TestServer* const server = StartServer(options);
  const Stub stub = Connect();
  ExpectServes(stub.get());
  const int client_threads = ThreadsOf(getpid()), server_threads = ThreadsOf(server->pid());

  constexpr int kMessages = 5;
  absl::BlockingCounter halfway(calls);
  std::vector<std::unique_ptr<Talk>> talks;
  for (int i = 0; i < calls; ++i) {
    talks.push_back(std::make_unique<Talk>(stub.get()));
    Talk* const talk = talks.back().get();
    talk->on_read = [talk, &halfway, i](bool ok) {
      if (!ok) return;
      EXPECT_EQ(talk->got.number() / 100, i);
      const int64_t message = talk->got.number() % 100;
      if (message == kMessages) {
        halfway.DecrementCount();
        return;
      }
      if (message == 2 * kMessages) return talk->Read();
      talk->Write(PayloadOf(20, i * 100 + message + 1));
      if (message + 1 == 2 * kMessages) talk->WritesDone();
      talk->Read();
    };
    talk->AddHold();
    talk->Write(PayloadOf(20, i * 100));
    talk->Read();
    talk->Begin();
  }
  halfway.Wait();
  // All of them are open now.
  const auto expect_few_threads = [&] {
    if (service_has_reactors() || server_elsewhere()) {
      EXPECT_LE(ThreadsOf(getpid()), client_threads + kFewThreads + mechanism().library_threads);
    }
    if (service_has_reactors()) {
      EXPECT_LE(ThreadsOf(server->pid()), server_threads + kFewThreads + mechanism().library_threads);
    }
  };
  expect_few_threads();
  for (int i = 0; i < calls; ++i) {
    talks[i]->Write(PayloadOf(20, i * 100 + kMessages + 1));
    talks[i]->Read();
    talks[i]->RemoveHold();
  }
  for (int i = 0; i < calls; ++i) EXPECT_TRUE(talks[i]->Wait().ok()) << talks[i]->status;
  expect_few_threads();  // those that had work stay for a while: nor were there more in between
}

// However many go on at the same moment.
TEST_P(Conformance, ReactorsThatGoOnTogetherNeedFewThreads) {
  const int calls = service_has_reactors() ? 1000 : 40;
  TestServer* const server = StartServer();
  const Stub stub = Connect();
  const Stub other = Connect();
  ExpectServes(stub.get());
  ExpectServes(other.get());
  const int threads = ThreadsOf(server->pid());
  for (const bool cancel : {false, true}) {
    const std::string gate = absl::StrCat("gate", cancel);
    absl::BlockingCounter over(calls);
    std::vector<std::unique_ptr<Waiting>> waiting;
    for (int i = 0; i < calls; ++i) waiting.push_back(std::make_unique<Waiting>(stub.get(), gate, &over));
    AwaitAtGate(other.get(), gate, calls);
    if (cancel) {
      for (const auto& call : waiting) call->context.TryCancel();
      AwaitCancelled(other.get(), gate, calls);
    } else {
      OpenGate(other.get(), gate);
    }
    over.Wait();
    for (const auto& call : waiting) {
      EXPECT_EQ(call->status.code(), cancel ? absl::StatusCode::kCancelled : absl::StatusCode::kOk) << call->status;
    }
    if (service_has_reactors()) {
      EXPECT_LE(ThreadsOf(server->pid()), threads + kFewThreads + mechanism().library_threads);
    }
  }
}

TEST_P(Conformance, TheLastWriteEndsTheStream) {
  StartServer();
  const Stub stub = Connect();
  struct Adder final : ClientWriteReactor<Payload> {
    void OnWriteDone(bool ok) override {
      EXPECT_TRUE(ok);
      if (++written == 3) return;
      message.set_number(written);
      written == 2 ? StartWriteLast(&message) : StartWrite(&message);
    }
    void OnDone(const absl::Status& s) override {
      status = s;
      over.Notify();
    }
    ClientContext context;
    Payload message, sum;
    int written = 0;
    absl::Status status;
    absl::Notification over;
  };
  for (const size_t size : {10u, 200'000u, 3'000'000u}) {
    Adder adder;
    stub->async()->Up(&adder.context, &adder.sum, &adder);
    adder.message = PayloadOf(size, 4);
    adder.StartWrite(&adder.message);
    adder.StartCall();
    adder.over.WaitForNotification();
    ASSERT_TRUE(adder.status.ok()) << adder.status;
    EXPECT_EQ(adder.sum.number(), 4 + 1 + 2);
    EXPECT_EQ(adder.sum.data(), "3");
  }
}

// The credit holds a server back whose reader has started no read; other calls on the connection go on.
TEST_P(Conformance, AReactorThatDoesNotReadHoldsItsWriterBackAndNobodyElse) {
  if (!mechanism().exact_windows) GTEST_SKIP() << "the transport has a flow control of its own";
  StartServer();
  const Stub stub = Connect();
  for (const int64_t size : {100, 10'000, 500'000}) {
    const std::string gate = absl::StrCat("gate", size);
    const Listener listener(stub.get(), gate, size);
    AwaitAtGate(stub.get(), gate, 1);
    for (int i = 0; i < 200; ++i) {
      ASSERT_LE(Look(stub.get(), gate).entered(), 64 * 1024 / (size + 32) + 2);
      ExpectServes(stub.get());
    }
  }
}

TEST_P(Conformance, AServerMayFinishWhileAReactorWrites) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {10u, 30'000u, 300'000u}) {
    for (const int code : {0, 7}) {
      struct Writer final : ClientBidiReactor<Payload, Payload> {
        void OnWriteDone(bool ok) override {
          if (ok) StartWrite(&message);
        }
        void OnDone(const absl::Status& s) override {
          status = s;
          over.Notify();
        }
        ClientContext context;
        Payload first, message;
        absl::Status status;
        absl::Notification over;
      } writer;
      stub->async()->HangUp(&writer.context, &writer);
      writer.first.set_number(code);
      writer.message = PayloadOf(size);
      writer.StartWrite(&writer.first);
      writer.StartCall();
      writer.over.WaitForNotification();
      EXPECT_EQ(static_cast<int>(writer.status.code()), code) << writer.status;
    }
  }
  ExpectServes(stub.get());
}

// A call of reactors keeps its channel.
TEST_P(Conformance, AChannelMayBeDroppedBeforeItsReactors) {
  StartServer();
  const Stub other = Connect();
  for (int round = 0; round < 5; ++round) {
    Stub stub = Connect();
    Talk talk(stub.get());
    talk.AddHold();
    talk.Begin();
    stub.reset();
    absl::Notification answered;
    talk.on_read = [&](bool ok) {
      EXPECT_TRUE(ok);
      answered.Notify();
    };
    talk.Read();
    talk.Write(PayloadOf(10, round));
    answered.WaitForNotification();
    EXPECT_EQ(talk.got.number(), round);
    if (round % 2 == 0) {
      talk.context.TryCancel();
    } else {
      talk.WritesDone();
    }
    talk.RemoveHold();
    EXPECT_EQ(talk.Wait().code(), round % 2 == 0 ? absl::StatusCode::kCancelled : absl::StatusCode::kOk);
  }
  ExpectServes(other.get());
}

TEST_P(Conformance, AReactorMayDeleteItselfAndItsChannelInTheEnd) {
  StartServer();
  struct Once final : ClientUnaryReactor {
    Once(Stub s, absl::BlockingCounter* o) : stub(std::move(s)), over(o) {
      stub->async()->Echo(&context, &request, &response, this);
      StartCall();
    }
    void OnDone(const absl::Status& status) override {
      EXPECT_TRUE(status.ok()) << status;
      absl::BlockingCounter* const counter = over;
      delete this;
      counter->DecrementCount();
    }
    Stub stub;
    absl::BlockingCounter* const over;
    ClientContext context;
    Payload request, response;
  };
  struct Stream final : ClientBidiReactor<Payload, Payload> {
    Stream(Stub s, absl::BlockingCounter* o) : stub(std::move(s)), over(o) {
      stub->async()->Chat(&context, this);
      StartWriteLast(&message);
      StartRead(&message_back);
      StartCall();
    }
    void OnReadDone(bool ok) override {
      if (ok) StartRead(&message_back);
    }
    void OnDone(const absl::Status& status) override {
      EXPECT_TRUE(status.ok()) << status;
      absl::BlockingCounter* const counter = over;
      delete this;
      counter->DecrementCount();
    }
    Stub stub;
    absl::BlockingCounter* const over;
    ClientContext context;
    Payload message, message_back;
  };
  absl::BlockingCounter over(40);
  for (int i = 0; i < 20; ++i) {
    new Once(Connect(), &over);
    new Stream(Connect(), &over);
  }
  over.Wait();
}

TEST_P(Conformance, ReactorsOfCallsThatCannotBegin) {
  const Stub lame = StubOn(CreateChannel("no such scheme"));
  const Stub absent = StubOn(CreateChannel(AddressForNobody()));
  StartServer();
  const Stub stub = Connect();
  const auto end_of = [this](TestService::StubInterface* called, const std::function<void(ClientContext*)>& prepare) {
    Talk talk(called);
    if (prepare) prepare(&talk.context);
    std::atomic<int> failed{0};
    const auto fails = [&](bool ok) {
      EXPECT_FALSE(ok);
      ++failed;
    };
    talk.metadata = talk.on_read = fails;
    if (mechanism().writes_fail_at_once) talk.on_write = talk.on_writes_done = fails;
    talk.Read();
    talk.Write(PayloadOf(10));
    talk.WritesDone();
    talk.Begin();
    talk.Wait().IgnoreError();
    EXPECT_EQ(failed, mechanism().writes_fail_at_once ? 4 : 2);
    return talk.status;
  };
  EXPECT_EQ(end_of(lame.get(), nullptr).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(end_of(absent.get(), nullptr).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(end_of(stub.get(), [](ClientContext* context) { context->TryCancel(); }).code(),
            absl::StatusCode::kCancelled);
  EXPECT_EQ(end_of(stub.get(), [](ClientContext* context) { context->set_timeout(absl::Seconds(-1)); }).code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(end_of(stub.get(), [](ClientContext* context) { context->AddMetadata("bad key", "v"); }).code(),
            absl::StatusCode::kInvalidArgument);
  const auto late = [](ClientContext* context) {
    context->set_wait_for_ready(true);
    context->set_timeout(absl::Milliseconds(50));
  };
  EXPECT_EQ(end_of(absent.get(), late).code(), absl::StatusCode::kDeadlineExceeded);
  ExpectServes(stub.get());
}

TEST_P(Conformance, ReactorsWaitForTheirServerIfTheyAreToldTo) {
  const std::string address = AddressForNobody();
  const Stub stub = StubOn(CreateChannel(address));
  std::vector<std::unique_ptr<Talk>> talks;
  for (int i = 0; i < 5; ++i) {
    talks.push_back(std::make_unique<Talk>(stub.get()));
    Talk* const talk = talks.back().get();
    talk->context.set_wait_for_ready(true);
    talk->on_read = [talk](bool ok) {
      if (ok) talk->Read();
    };
    talk->Read();
    talk->Write(PayloadOf(10, i));
    talk->WritesDone();
    talk->Begin();
  }
  talks[2]->context.TryCancel();
  EXPECT_EQ(talks[2]->Wait().code(), absl::StatusCode::kCancelled) << talks[2]->status;
  StartServerOn(address);
  for (int i = 0; i < 5; ++i) {
    if (i == 2) continue;
    EXPECT_TRUE(talks[i]->Wait().ok()) << talks[i]->status;
    EXPECT_EQ(talks[i]->got.number(), i);
  }
}

// The callbacks of a channel share a thread; its blocking calls do not need that.
TEST_P(Conformance, AReactionThatBlocksHoldsUpNoBlockingCall) {
  StartServer();
  const auto blocking = TestService::NewStub(CreateChannel(address()));
  absl::Notification go_on, inside;
  Talk talk(blocking.get());
  talk.on_read = [&](bool ok) {
    if (!ok) return;
    inside.Notify();
    go_on.WaitForNotification();
    talk.WritesDone();
    talk.Read();
  };
  talk.Read();
  talk.Write(PayloadOf(10));
  talk.Begin();
  inside.WaitForNotification();
  for (int i = 0; i < 200; ++i) ExpectServes(blocking.get());
  go_on.Notify();
  EXPECT_TRUE(talk.Wait().ok()) << talk.status;
}

// Of a client that cannot say that its time is up, the server finds out by itself.
TEST_P(Conformance, ADeadlineOfAClientThatHasStoppedEndsItsCall) {
  if (!mechanism().between_processes) GTEST_SKIP() << "the transport does not leave the process";
  StartServer();
  const Stub stub = Connect();
  const std::unique_ptr<Process> client = Process::Start("blocker", {address(), "gate", "1000"});
  AwaitAtGate(stub.get(), "gate", 1);
  client->Signal(SIGSTOP);
  AwaitStopped(client->pid());
  AwaitCancelled(stub.get(), "gate", 1);
  client->Signal(SIGCONT);
  const std::string heard = client->Hear();
  // The handler, which answers when it is cancelled, and the client's clock are both right.
  EXPECT_TRUE(heard == "OK" || heard.find("DEADLINE_EXCEEDED") != std::string::npos) << heard;
}

// Its ring or socket fills up, and that is its own affair.
TEST_P(Conformance, AClientThatDoesNotReadHoldsUpNobodyAndNoThread) {
  if (!mechanism().between_processes) GTEST_SKIP() << "the transport does not leave the process";
  TestServer* const server = StartServer();
  const Stub stub = Connect();
  ExpectServes(stub.get());
  const int threads = ThreadsOf(server->pid());
  const std::unique_ptr<Process> client = Process::Start("reader", {address(), "gate", "64"});
  ASSERT_EQ(client->Hear(), "reading");
  client->Signal(SIGSTOP);
  AwaitStopped(client->pid());
  // What the credit lets go is more than there is room for; then nothing more is written.
  for (int64_t before = -1, now = 0; now != before;) {
    before = now;
    for (int i = 0; i < 300; ++i) ExpectServes(stub.get());
    now = Look(stub.get(), "gate").entered();
  }
  for (int i = 0; i < 20; ++i) ExpectServes(Connect().get());
  if (service_has_reactors()) {
    EXPECT_LE(ThreadsOf(server->pid()), threads + kFewThreads + mechanism().library_threads);
  }
  client->Signal(SIGCONT);
  const int64_t stuck_at = Look(stub.get(), "gate").entered();
  AwaitAtGate(stub.get(), "gate", stuck_at + 1000);
  client->Tell("stop");
  EXPECT_EQ(client->Hear(), "done");
  AwaitCancelled(stub.get(), "gate", 64);
}

TEST_P(Conformance, AClientThatDiesWhileItDoesNotReadLeavesNothing) {
  if (!mechanism().between_processes) GTEST_SKIP() << "the transport does not leave the process";
  StartServer();
  const Stub stub = Connect();
  const std::unique_ptr<Process> client = Process::Start("reader", {address(), "gate", "64"});
  ASSERT_EQ(client->Hear(), "reading");
  client->Signal(SIGSTOP);
  AwaitStopped(client->pid());
  for (int i = 0; i < 300; ++i) ExpectServes(stub.get());
  client->Signal(SIGKILL);
  AwaitCancelled(stub.get(), "gate", 64);
  ExpectServes(stub.get());
}

TEST_P(Conformance, ReactorsEndWithTheirServer) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  TestServer* const server = StartServer();
  const Stub stub = Connect();
  std::vector<std::unique_ptr<Talk>> talks;
  absl::BlockingCounter open(50);
  for (int i = 0; i < 50; ++i) {
    talks.push_back(std::make_unique<Talk>(stub.get()));
    Talk* const talk = talks.back().get();
    talk->on_read = [talk, &open](bool ok) {
      if (!ok) return;
      open.DecrementCount();
      talk->Read();
    };
    talk->Read();
    talk->Write(PayloadOf(10));
    talk->Begin();
  }
  open.Wait();
  KillServer(server);
  for (const auto& talk : talks) EXPECT_EQ(talk->Wait().code(), absl::StatusCode::kUnavailable) << talk->status;
}

}  // namespace
}  // namespace nearcall::testing
