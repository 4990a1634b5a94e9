// Tasks, Spawn and BlockOn, and what co_await makes of a call, without any server.

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/coroutine.h"
#include "tests/coroutines/fixture.h"
#include "tests/testing/sanitizer.h"

namespace nearcall::testing {
namespace {

Task<int> Add(int a, int b) { co_return a + b; }

Task<int> Sum(int to) {
  int sum = 0;
  for (int i = 1; i <= to; ++i) sum = co_await Add(sum, i);
  co_return sum;
}

TEST(TaskTest, BeginsWhenItIsAwaited) {
  bool begun = false;
  const auto begin = [](bool* flag) -> Task<> {
    *flag = true;
    co_return;
  };
  Task<> task = begin(&begun);
  EXPECT_FALSE(begun);
  BlockOn(std::move(task));
  EXPECT_TRUE(begun);
}

TEST(TaskTest, Results) {
  EXPECT_EQ(BlockOn(Sum(100)), 5050);
  const auto owns = []() -> Task<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
  EXPECT_EQ(*BlockOn(owns()), 7);
  const auto converts = []() -> Task<absl::StatusOr<std::string>> { co_return "text"; };
  EXPECT_EQ(*BlockOn(converts()), "text");
  const auto fails = []() -> Task<absl::StatusOr<std::string>> { co_return absl::NotFoundError("no"); };
  EXPECT_EQ(BlockOn(fails()).status(), absl::NotFoundError("no"));
}

Task<int> Deep(int levels) {
  if (levels == 0) co_return 0;
  co_return 1 + co_await Deep(levels - 1);
}

TEST(TaskTest, Nest) { EXPECT_EQ(BlockOn(Deep(100)), 100); }

// Each of these tasks ends before who awaits it has returned: without symmetric transfer each would leave a frame on the
// stack.
TEST(TaskTest, ALoopUsesNoStack) {
#if !defined(__OPTIMIZE__) || NEARCALL_INSTRUMENTED
  GTEST_SKIP() << "g++ transfers by a plain call where it does not optimise, or instruments the stack";
#endif
  EXPECT_EQ(BlockOn(Sum(1'000'000)), static_cast<int>(500'000'500'000));
}

TEST(TaskTest, FramesGoOnceAndFirstWhatWasMadeLast) {
  std::atomic<int> frames{0};
  const auto outer = [](std::atomic<int>* count) -> Task<int> {
    const auto inner = [](Frame, std::atomic<int>* live) -> Task<int> { co_return live->load(); };
    const int inside = co_await inner(Frame(count), count);
    co_return inside * 10 + count->load();
  };
  EXPECT_EQ(BlockOn(outer(&frames)) % 10, 0) << "the inner frame has gone before the next statement";
  EXPECT_EQ(frames, 0);
  {
    const auto never = [](Frame) -> Task<> { co_return; };
    const Task<> task = never(Frame(&frames));
    EXPECT_GT(frames, 0);
  }
  EXPECT_EQ(frames, 0) << "a task that never began goes, too";
}

TEST(TaskTest, Moves) {
  std::atomic<int> frames{0};
  const auto one = [](Frame) -> Task<int> { co_return 1; };
  Task<int> task = one(Frame(&frames));
  Task<int> moved = std::move(task);
  Task<int> assigned;
  assigned = std::move(moved);
  EXPECT_EQ(BlockOn(std::move(assigned)), 1);
  EXPECT_EQ(frames, 0);
}

Task<int> Throws(bool now) {
  if (now) throw std::runtime_error("thrown");
  co_return 1;
}

TEST(TaskTest, ExceptionsComeOutOfTheAwait) {
  const auto catches = [](bool now) -> Task<std::string> {
    try {
      co_await Throws(now);
    } catch (const std::runtime_error& e) {
      co_return e.what();
    }
    co_return "nothing";
  };
  EXPECT_EQ(BlockOn(catches(true)), "thrown");
  EXPECT_EQ(BlockOn(catches(false)), "nothing");
  const auto lets_go = []() -> Task<> { co_await Throws(true); };
  EXPECT_THROW(BlockOn(lets_go()), std::runtime_error);
  EXPECT_THROW(BlockOn(Throws(true)), std::runtime_error);
}

TEST(TaskTest, SpawnReturnsAtTheFirstWait) {
  CoGate gate;
  std::atomic<int> frames{0};
  const auto waits = [](CoGate* at, Frame) -> Task<> { co_await at->Pass(); };
  for (int i = 0; i < 10; ++i) Spawn(waits(&gate, Frame(&frames)));
  EXPECT_EQ(gate.waiting(), 10);
  EXPECT_GT(frames, 0);
  gate.Open();
  EXPECT_EQ(frames, 0);
  Spawn(waits(&gate, Frame(&frames)));  // which does not wait
  EXPECT_EQ(frames, 0);
}

TEST(TaskDeathTest, AnExceptionThatNobodyWaitsForEndsTheProgram) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto lets_go = []() -> Task<> { co_await Throws(true); };
  EXPECT_DEATH(Spawn(lets_go()), "thrown");
}

TEST(TaskTest, GoesOnOnTheThreadThatResumes) {
  CoGate gate;
  absl::Notification waits;
  const auto pass = [](CoGate* at) -> Task<std::thread::id> {
    co_await at->Pass();
    co_return std::this_thread::get_id();
  };
  std::thread opener([&] {
    while (gate.waiting() == 0) std::this_thread::yield();
    gate.Open();
  });
  const std::thread::id opened_by = opener.get_id();
  EXPECT_EQ(BlockOn(pass(&gate)), opened_by);
  opener.join();
}

// --- A call of what is not a stub ---

// Answers when it is told to; or, as mocks do, at once.
struct FakeAsync {
  bool at_once = false;
  int begun = 0;
  std::function<void(absl::Status)> done;

  void Call(ClientContext*, const int* request, int* response, std::function<void(absl::Status)> callback) {
    ++begun;
    *response = *request + 1;
    if (at_once) return callback(absl::AbortedError("at once"));
    done = std::move(callback);
  }
  internal::AwaitableCall<FakeAsync, int, int> Call(ClientContext* context, const int* request, int* response) {
    return {this, &FakeAsync::Call, context, request, response};
  }
};

Task<absl::Status> CallTwice(FakeAsync* async) {
  int number = 1;
  for (int i = 0; i < 2; ++i) {
    ClientContext context;
    const int request = number;
    const absl::Status status = co_await async->Call(&context, &request, &number);
    if (!status.ok()) co_return status;
  }
  co_return absl::NotFoundError(std::to_string(number));
}

TEST(AwaitableCallTest, BeginsWhenItIsAwaitedAndGoesOnInTheCallback) {
  FakeAsync async;
  absl::Status status = absl::UnknownError("not over");
  const auto note = [](Task<absl::Status> task, absl::Status* to) -> Task<> { *to = co_await std::move(task); };
  Task<> task = note(CallTwice(&async), &status);
  EXPECT_EQ(async.begun, 0);
  Spawn(std::move(task));
  EXPECT_EQ(async.begun, 1);
  std::exchange(async.done, nullptr)(absl::OkStatus());
  EXPECT_EQ(async.begun, 2);
  EXPECT_EQ(status, absl::UnknownError("not over"));
  std::exchange(async.done, nullptr)(absl::OkStatus());
  EXPECT_EQ(status, absl::NotFoundError("3"));
}

TEST(AwaitableCallTest, MayBeAnsweredInsideItsStart) {
  FakeAsync async;
  async.at_once = true;
  EXPECT_EQ(BlockOn(CallTwice(&async)), absl::AbortedError("at once"));
}

}  // namespace
}  // namespace nearcall::testing
