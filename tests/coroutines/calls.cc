// Unary calls from coroutines.

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "tests/coroutines/fixture.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using CoroutineCallTest = CoroutineTest;

// One call and what it needs.
struct Call {
  ClientContext context;
  Payload request;
  Payload response;
};

Task<absl::Status> Echo(TestService::Stub* stub, Call* call) {
  co_return co_await stub->async()->Echo(&call->context, &call->request, &call->response);
}

Task<absl::Status> Block(TestService::Stub* stub, ClientContext* context) {
  GateRequest request;
  request.set_gate("gate");
  GateState state;
  co_return co_await stub->async()->Block(context, &request, &state);
}

TEST_P(CoroutineCallTest, CarriesTheMessages) {
  for (TestService::Stub* stub : {stub_.get(), co_stub_.get()}) {
    for (const size_t size : {0u, 10u, 70'000u, 1'000'000u}) {
      Call call;
      call.request = PayloadOf(7, size);
      EXPECT_EQ(BlockOn(Echo(stub, &call)), absl::OkStatus());
      EXPECT_EQ(call.response.number(), 7);
      EXPECT_TRUE(call.response.data() == call.request.data());
    }
  }
}

TEST_P(CoroutineCallTest, Errors) {
  const auto fail = [](TestService::Stub* stub) -> Task<absl::Status> {
    ClientContext context;
    FailRequest request;
    request.set_code(5);
    request.set_message("no");
    Payload response;
    co_return co_await stub->async()->Fail(&context, &request, &response);
  };
  EXPECT_EQ(BlockOn(fail(stub_.get())), absl::NotFoundError("no"));
  EXPECT_EQ(BlockOn(fail(co_stub_.get())), absl::NotFoundError("no"));

  const std::unique_ptr<TestService::Stub> absent = TestService::NewStub(CreateChannel(co_address() + "-absent"));
  Call call, again;
  EXPECT_EQ(BlockOn(Echo(absent.get(), &call)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(BlockOn(Echo(co_stub_.get(), &call)).code(), absl::StatusCode::kFailedPrecondition) << "a used context";
  EXPECT_EQ(BlockOn(Echo(co_stub_.get(), &again)), absl::OkStatus());
}

TEST_P(CoroutineCallTest, Deadline) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(20));
  EXPECT_EQ(BlockOn(Block(stub_.get(), &context)).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(CoroutineCallTest, Cancel) {
  ClientContext context;
  absl::Notification over;
  absl::Status status;
  const auto note = [](Task<absl::Status> task, absl::Status* to, absl::Notification* done) -> Task<> {
    *to = co_await std::move(task);
    done->Notify();
  };
  Spawn(note(Block(stub_.get(), &context), &status, &over));
  GateRequest gate;
  gate.set_gate("gate");
  Await([&] { return stub_->Look(gate)->entered() == 1; });
  EXPECT_FALSE(over.HasBeenNotified());
  context.TryCancel();
  over.WaitForNotification();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);

  Call before;
  before.context.TryCancel();
  EXPECT_EQ(BlockOn(Echo(stub_.get(), &before)).code(), absl::StatusCode::kCancelled);
}

// Always on the channel's callback thread, and so never inside the call that is awaited.
TEST_P(CoroutineCallTest, GoesOnOnTheCallbackThread) {
  const auto where = [](TestService::Stub* stub) -> Task<std::thread::id> {
    std::thread::id first;
    for (int i = 0; i < 200; ++i) {
      Call call;
      const absl::Status status = co_await Echo(stub, &call);
      EXPECT_EQ(status, absl::OkStatus());
      if (i == 0) first = std::this_thread::get_id();
      EXPECT_EQ(std::this_thread::get_id(), first);
    }
    co_return first;
  };
  EXPECT_NE(BlockOn(where(co_stub_.get())), std::this_thread::get_id());
}

// All of them wait in their handler, which is a coroutine, too, before any goes on.
TEST_P(CoroutineCallTest, TenThousandAtOnceOnOneChannel) {
  constexpr int kCount = 10'000;
  std::atomic<int> ok{0};
  absl::BlockingCounter under_way(kCount);
  const auto one = [](TestService::Stub* stub, std::atomic<int>* good, absl::BlockingCounter* left) -> Task<> {
    ClientContext context;
    const GateRequest request;
    GateState state;
    const absl::Status status = co_await stub->async()->Block(&context, &request, &state);
    if (status.ok()) ++*good;
    left->DecrementCount();
  };
  for (int i = 0; i < kCount; ++i) Spawn(one(co_stub_.get(), &ok, &under_way));
  Await([&] { return co_service_.gate.waiting() == kCount; });
  EXPECT_EQ(ok, 0);
  co_service_.gate.Open();
  under_way.Wait();
  EXPECT_EQ(ok, kCount);
}

TEST_P(CoroutineCallTest, ManyThreadsOfCoroutines) {
  std::atomic<int> ok{0};
  const auto several = [](TestService::Stub* stub, std::atomic<int>* good) -> Task<> {
    for (int i = 0; i < 100; ++i) {
      Call call;
      call.request = PayloadOf(i, i % 10 == 0 ? 20'000 : 20);
      const absl::Status status = co_await Echo(stub, &call);
      if (status.ok() && call.response.number() == i) ++*good;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { BlockOn(several(co_stub_.get(), &ok)); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ok, 400);
}

// The last reference to a channel may go in a coroutine that it resumed.
TEST_P(CoroutineCallTest, MayDropTheChannel) {
  const auto call_and_drop = [](std::string address) -> Task<absl::Status> {
    std::unique_ptr<TestService::Stub> stub = TestService::NewStub(CreateChannel(address));
    Call call;
    absl::Status status = co_await Echo(stub.get(), &call);
    stub = nullptr;
    co_return status;
  };
  for (int i = 0; i < 10; ++i) EXPECT_EQ(BlockOn(call_and_drop(co_address())), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Over, CoroutineCallTest, ::testing::Values("inproc", "unix", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
