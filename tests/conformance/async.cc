// Asynchronous unary calls.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "nearcall/internal/method.h"
#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

// One call and its end. The callback must come once, and never on the thread that is still inside the call.
struct AsyncCall {
  ClientContext context;
  Payload request;
  Payload response;
  absl::Status status;
  absl::Notification over;
  std::atomic<int> callbacks{0};

  std::function<void(absl::Status)> Callback() {
    return [this, starter = std::this_thread::get_id()](absl::Status s) {
      EXPECT_NE(std::this_thread::get_id(), starter);
      EXPECT_EQ(callbacks.fetch_add(1), 0);
      status = std::move(s);
      over.Notify();
    };
  }
  void Echo(TestService::StubInterface* stub) { stub->async()->Echo(&context, &request, &response, Callback()); }
  absl::Status Wait() {
    over.WaitForNotification();
    return status;
  }
};

TEST_P(Conformance, AsyncCarriesTheMessages) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {0u, 10u, 70'000u, 1'000'000u}) {
    AsyncCall call;
    call.request = PayloadOf(size, 7);
    call.Echo(stub.get());
    ASSERT_TRUE(call.Wait().ok()) << call.status;
    EXPECT_EQ(call.response.number(), 7);
    EXPECT_TRUE(call.response.data() == call.request.data());
  }
}

TEST_P(Conformance, AsyncManyInFlight) {
  StartServer();
  const Stub stub = Connect();
  std::vector<std::unique_ptr<AsyncCall>> calls;
  for (int i = 0; i < 500; ++i) {
    calls.push_back(std::make_unique<AsyncCall>());
    calls.back()->request = PayloadOf(i % 20 == 0 ? 50'000 : 30, i);
    calls.back()->Echo(stub.get());
  }
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(calls[i]->Wait().ok()) << calls[i]->status;
    EXPECT_EQ(calls[i]->response.number(), i);
  }
}

TEST_P(Conformance, AsyncBesideBlockingCalls) {
  StartServer();
  const Stub stub = Connect();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        AsyncCall call;
        call.request = PayloadOf(10, t * 1000 + i);
        call.Echo(stub.get());
        ExpectServes(stub.get());
        ASSERT_TRUE(call.Wait().ok()) << call.status;
        ASSERT_EQ(call.response.number(), t * 1000 + i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(Conformance, AsyncCallsStartedInCallbacks) {
  StartServer();
  const Stub stub = Connect();
  struct Chain {
    TestService::StubInterface* stub;
    int left = 2000;
    std::unique_ptr<ClientContext> context;
    Payload request, response;
    absl::Notification over;
    bool inside = false;
    void Next() {
      context = std::make_unique<ClientContext>();
      request.set_number(left);
      inside = true;
      stub->async()->Echo(context.get(), &request, &response, [this](absl::Status status) {
        EXPECT_FALSE(inside);
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_EQ(response.number(), left);
        if (--left == 0) return over.Notify();
        Next();
      });
      inside = false;
    }
  };
  // Started by a callback, too, so that `inside` is one thread's alone.
  Chain chain;
  chain.stub = stub.get();
  AsyncCall first;
  stub->async()->Echo(&first.context, &first.request, &first.response, [&](absl::Status) { chain.Next(); });
  chain.over.WaitForNotification();
}

TEST_P(Conformance, AsyncReportsErrors) {
  StartServer();
  const Stub stub = Connect();
  {
    AsyncCall call;
    FailRequest request;
    request.set_code(5);
    request.set_message("no");
    stub->async()->Fail(&call.context, &request, &call.response, call.Callback());
    EXPECT_EQ(call.Wait(), absl::NotFoundError("no"));
  }
  {
    AsyncCall call;
    call.context.AddMetadata("bad key", "v");
    call.Echo(stub.get());
    EXPECT_EQ(call.Wait().code(), absl::StatusCode::kInvalidArgument);
  }
  {
    AsyncCall call;
    call.request = PayloadOf(5u << 20);
    call.Echo(stub.get());
    EXPECT_EQ(call.Wait().code(), absl::StatusCode::kResourceExhausted);
  }
  {
    AsyncCall call, again;
    call.Echo(stub.get());
    EXPECT_TRUE(call.Wait().ok());
    stub->async()->Echo(&call.context, &again.request, &again.response, again.Callback());
    EXPECT_EQ(again.Wait().code(), absl::StatusCode::kFailedPrecondition);
  }
  {
    const Stub absent = StubOn(CreateChannel(AddressForNobody()));
    AsyncCall call;
    call.Echo(absent.get());
    EXPECT_EQ(call.Wait().code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(SurelyNotSeen(call.status));
  }
  {
    const Stub lame = StubOn(CreateChannel("no such scheme"));
    AsyncCall call;
    call.Echo(lame.get());
    EXPECT_EQ(call.Wait().code(), absl::StatusCode::kInvalidArgument);
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, AsyncDeadlines) {
  StartServer();
  const Stub stub = Connect();
  for (const absl::Duration timeout :
       {absl::Milliseconds(30), absl::ZeroDuration(), absl::Milliseconds(1), absl::Milliseconds(-5)}) {
    AsyncCall call;
    call.context.set_timeout(timeout);
    const GateRequest gate = Gate("gate");
    GateState state;
    stub->async()->Block(&call.context, &gate, &state, call.Callback());
    EXPECT_EQ(call.Wait().code(), absl::StatusCode::kDeadlineExceeded) << call.status;
  }
  AsyncCall call;
  call.context.set_timeout(absl::Milliseconds(30));
  call.context.set_wait_for_ready(true);
  const Stub absent = StubOn(CreateChannel(AddressForNobody()));
  call.Echo(absent.get());
  EXPECT_EQ(call.Wait().code(), absl::StatusCode::kDeadlineExceeded) << call.status;
  Await([&] {
    const GateState state = Look(stub.get(), "gate");
    return state.entered() == state.cancelled();
  });
}

TEST_P(Conformance, AsyncCancel) {
  StartServer();
  const Stub stub = Connect();
  const GateRequest gate = Gate("gate");
  for (int i = 1; i <= 3; ++i) {
    AsyncCall call;
    GateState state;
    stub->async()->Block(&call.context, &gate, &state, call.Callback());
    AwaitAtGate(stub.get(), "gate", i);
    call.context.TryCancel();
    EXPECT_EQ(call.Wait().code(), absl::StatusCode::kCancelled) << call.status;
    AwaitCancelled(stub.get(), "gate", i);
  }
  AsyncCall call;
  call.context.TryCancel();
  call.Echo(stub.get());
  EXPECT_EQ(call.Wait().code(), absl::StatusCode::kCancelled);
}

// A call that waits for its server holds up no other.
TEST_P(Conformance, AsyncCancelEndsTheWaitForAServer) {
  const Stub absent = StubOn(CreateChannel(AddressForNobody()));
  AsyncCall waits, fails;
  waits.context.set_wait_for_ready(true);
  waits.Echo(absent.get());
  fails.Echo(absent.get());
  EXPECT_EQ(fails.Wait().code(), absl::StatusCode::kUnavailable) << fails.status;
  waits.context.TryCancel();
  EXPECT_EQ(waits.Wait().code(), absl::StatusCode::kCancelled) << waits.status;
}

TEST_P(Conformance, AsyncCallsEndWithTheirChannel) {
  StartServer();
  const Stub other = Connect();
  std::vector<std::unique_ptr<AsyncCall>> calls;
  const GateRequest gate = Gate("gate");
  GateState states[20];
  {
    const Stub stub = Connect();
    for (GateState& state : states) {
      calls.push_back(std::make_unique<AsyncCall>());
      stub->async()->Block(&calls.back()->context, &gate, &state, calls.back()->Callback());
    }
    AwaitAtGate(other.get(), "gate", 10);
  }
  for (const auto& call : calls) EXPECT_EQ(call->Wait().code(), absl::StatusCode::kCancelled) << call->status;
  Await([&] {
    const GateState state = Look(other.get(), "gate");
    return state.entered() == state.cancelled();
  });
}

TEST_P(Conformance, AsyncCallsThatWaitForAServerEndWithTheirChannel) {
  std::vector<std::unique_ptr<AsyncCall>> calls;
  {
    const Stub absent = StubOn(CreateChannel(AddressForNobody()));
    for (int i = 0; i < 3; ++i) {
      calls.push_back(std::make_unique<AsyncCall>());
      calls.back()->context.set_wait_for_ready(true);
      calls.back()->Echo(absent.get());
    }
  }
  for (const auto& call : calls) EXPECT_EQ(call->Wait().code(), absl::StatusCode::kCancelled) << call->status;
}

// Reads one message of its call and no more.
struct ReadsOne final : ClientReadReactor<Payload> {
  ClientContext context;
  DownRequest request;
  Payload message;
  absl::Status status;
  absl::Notification read, over;

  void OnReadDone(bool) override { read.Notify(); }
  void OnDone(const absl::Status& s) override {
    status = s;
    over.Notify();
  }
};

// Nobody reads what came for it, and nobody need.
TEST_P(Conformance, AsyncStreamThatIsCancelledAfterItsEndIsOver) {
  StartServer();
  const Stub stub = Connect();
  for (int i = 1; i <= 20; ++i) {
    ReadsOne reactor;
    reactor.request.set_count(3);
    reactor.request.set_gate("gate");
    stub->async()->Down(&reactor.context, &reactor.request, &reactor);
    reactor.StartRead(&reactor.message);
    reactor.AddHold();
    reactor.StartCall();
    reactor.read.WaitForNotification();
    Await([&] { return Look(stub.get(), "gate").left() == i; });
    reactor.TryCancel();
    reactor.RemoveHold();
    reactor.over.WaitForNotification();
    EXPECT_TRUE(reactor.status.ok() || absl::IsCancelled(reactor.status)) << reactor.status;
  }
}

// The last reference to a channel may go in a callback.
TEST_P(Conformance, AsyncCallbacksMayDropTheChannel) {
  StartServer();
  for (int i = 0; i < 20; ++i) {
    Stub stub = Connect();
    TestService::StubInterface* const raw = stub.get();
    AsyncCall call;
    absl::Notification over;
    raw->async()->Echo(&call.context, &call.request, &call.response,
                       [&, stub = std::make_shared<Stub>(std::move(stub))](absl::Status status) mutable {
                         EXPECT_TRUE(status.ok()) << status;
                         stub->reset();
                         over.Notify();
                       });
    over.WaitForNotification();
  }
}

TEST_P(Conformance, AsyncCallsEndWithTheirServer) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  TestServer* const server = StartServer();
  const Stub stub = Connect();
  std::vector<std::unique_ptr<AsyncCall>> calls;
  const GateRequest gate = Gate("gate");
  GateState states[20];
  for (GateState& state : states) {
    calls.push_back(std::make_unique<AsyncCall>());
    stub->async()->Block(&calls.back()->context, &gate, &state, calls.back()->Callback());
  }
  AwaitAtGate(stub.get(), "gate", 20);
  KillServer(server);
  for (const auto& call : calls) {
    EXPECT_EQ(call->Wait().code(), absl::StatusCode::kUnavailable) << call->status;
    EXPECT_FALSE(SurelyNotSeen(call->status));
  }
}

}  // namespace
}  // namespace nearcall::testing
