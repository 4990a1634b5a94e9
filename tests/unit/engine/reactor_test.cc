#include "runtime/engine/reactor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/watchdog.h"

namespace nearcall {
namespace {

// Something to poll: does its work when it is rung for.
class Bell final : public Pollable {
 public:
  explicit Bell(std::function<void()> work) : work_(std::move(work)), fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Any thread.
  void Ring() {
    rung_.fetch_add(1);
    if (sleeps_.load()) {
      const uint64_t one = 1;
      EXPECT_EQ(write(fd_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
  }
  void Finish() {
    finished_ = true;
    Ring();
  }

  Polled Poll() override {
    EXPECT_FALSE(inside_.exchange(true)) << "two pollers at once";
    const int rung = rung_.exchange(0);
    if (rung > 0) work_();
    inside_ = false;
    if (finished_) return Polled::kFinished;
    return rung > 0 ? Polled::kProgress : Polled::kIdle;
  }
  bool PrepareSleep() override {
    sleeps_ = true;
    return rung_ == 0;
  }
  void FinishSleep(uint32_t) override { sleeps_ = false; }
  int watched_fds(WatchedFd* fds) const override {
    fds[0] = WatchedFd{fd_.get(), true};
    return 1;
  }

 private:
  const std::function<void()> work_;
  std::atomic<int> rung_{0};
  std::atomic<bool> sleeps_{false}, finished_{false}, inside_{false};
  Fd fd_;
};

class ReactorTest : public ::testing::TestWithParam<Spin> {
 protected:
  Reactor reactor_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Spins, ReactorTest, ::testing::Values(Spin::kNever, Spin::kAdaptive, Spin::kAlways));

TEST_P(ReactorTest, AWaitEndsWithItsDeadline) {
  WaitSpot spot;
  EXPECT_FALSE(reactor_.Wait([] { return false; }, &spot, 0));
  EXPECT_FALSE(reactor_.Wait([] { return false; }, &spot, MonotonicNanos() + 2'000'000));
  EXPECT_TRUE(reactor_.Wait([] { return true; }, &spot, 0));
  ASSERT_TRUE(reactor_.TryAcquire());  // as a follower
  std::thread follower([&] {
    WaitSpot own;
    EXPECT_FALSE(reactor_.Wait([] { return false; }, &own, MonotonicNanos() + 2'000'000));
  });
  follower.join();
  reactor_.Release();
}

TEST_P(ReactorTest, ANotifiedWaitEnds) {
  for (int i = 0; i < 200; ++i) {
    std::atomic<bool> done{false};
    WaitSpot spot;
    std::thread other([&] {
      done = true;
      spot.Notify();
    });
    EXPECT_TRUE(reactor_.Wait([&] { return done.load(); }, &spot, kNever));
    other.join();
  }
}

TEST_P(ReactorTest, ThePollerRunsTasks) {
  WaitSpot spot;
  std::atomic<int> ran{0};
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) reactor_.Post([&] { ++ran; });
    reactor_.Post([&] {
      ++ran;
      spot.Notify();
    });
  });
  EXPECT_TRUE(reactor_.Wait([&] { return ran == 1001; }, &spot, kNever));
  poster.join();
}

// Who stops the poller does so by a flag and a task: the pass that runs the task must not be followed by sleep.
TEST_P(ReactorTest, ThePollerHearsThatItIsToStopWhileItRunsATask) {
  ASSERT_TRUE(reactor_.TryAcquire());
  bool stopping = false;
  bool asked = false;
  EXPECT_TRUE(reactor_.PollUntil([&] {
    const bool was_stopping = stopping;
    if (!std::exchange(asked, true)) {  // right after the poller's look, as another thread would
      stopping = true;
      reactor_.Post([] {});
    }
    return was_stopping;
  }));
  reactor_.Release();
}

// Callers that each wait for an answer of their own, from whoever polls: the role goes round among them.
TEST_P(ReactorTest, ManyWaitersTakeTurns) {
  constexpr int kThreads = 8;
  constexpr int kWaits = 2000;
  struct Waiter {
    std::atomic<int> asked{0}, answered{0};
    // Here and not with the thread, which may be through with its last wait before it is notified of it.
    WaitSpot spot;
  };
  std::vector<Waiter> waiters(kThreads);
  const auto bell = std::make_shared<Bell>([&] {
    for (Waiter& waiter : waiters) {
      const int asked = waiter.asked.load();
      if (waiter.answered.load() == asked) continue;
      waiter.answered = asked;
      waiter.spot.Notify();
    }
  });
  reactor_.Add(bell);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Waiter& me = waiters[t];
      for (int i = 1; i <= kWaits; ++i) {
        me.asked = i;
        bell->Ring();
        ASSERT_TRUE(reactor_.Wait([&] { return me.answered == i; }, &me.spot, kNever));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  WaitSpot spot;
  bell->Finish();
  while (bell.use_count() > 1) reactor_.Wait([&] { return bell.use_count() == 1; }, &spot, MonotonicNanos() + 1'000'000);
}

TEST_P(ReactorTest, ALentRoleIsTakenBackStolenOrHandedOff) {
  Reactor::Lease lease;
  ASSERT_TRUE(reactor_.TryAcquire());
  EXPECT_FALSE(reactor_.TryAcquire());
  EXPECT_EQ(reactor_.lent_ticket(), 0u);
  for (int i = 0; i < 3; ++i) {
    reactor_.BeginLease(&lease);
    const uint64_t ticket = reactor_.lent_ticket();
    EXPECT_NE(ticket, 0u);
    EXPECT_FALSE(reactor_.TryAcquire());
    EXPECT_TRUE(reactor_.EndLease(&lease));
    EXPECT_FALSE(reactor_.Steal(ticket)) << "an old ticket";
  }
  reactor_.BeginLease(&lease);
  EXPECT_TRUE(reactor_.Steal(reactor_.lent_ticket()));
  EXPECT_FALSE(reactor_.EndLease(&lease));
  reactor_.BeginLease(&lease);
  Reactor::HandOffLease();
  EXPECT_TRUE(lease.lost());
  EXPECT_TRUE(reactor_.TryAcquire());
  EXPECT_FALSE(reactor_.EndLease(&lease));
  reactor_.Release();
}

TEST_P(ReactorTest, ALeaseWakesAWatcherThatDozes) {
  std::atomic<int> woken{0};
  reactor_.set_wake_watcher([&] { ++woken; });
  Reactor::Lease lease;
  ASSERT_TRUE(reactor_.TryAcquire());
  reactor_.BeginLease(&lease);
  ASSERT_TRUE(reactor_.EndLease(&lease));
  EXPECT_EQ(woken, 0);
  reactor_.set_watcher_dozes(true);
  reactor_.BeginLease(&lease);
  EXPECT_EQ(woken, 1);
  reactor_.set_watcher_dozes(false);
  ASSERT_TRUE(reactor_.EndLease(&lease));
  reactor_.Release();
}

// A lender and thieves: each lease ends exactly one way.
TEST_P(ReactorTest, LendersAndThievesAgree) {
  std::atomic<bool> over{false};
  std::atomic<int> polling{0}, stolen{0};
  std::vector<std::thread> thieves;
  for (int t = 0; t < 2; ++t) {
    thieves.emplace_back([&] {
      while (!over) {
        const uint64_t ticket = reactor_.lent_ticket();
        if (ticket == 0 || !reactor_.Steal(ticket)) continue;
        EXPECT_EQ(polling.fetch_add(1), 0);
        ++stolen;
        polling.fetch_sub(1);
        reactor_.Release();
      }
    });
  }
  int kept = 0, lost = 0;
  while (kept + lost < 20'000) {
    if (!reactor_.TryAcquire()) continue;
    EXPECT_EQ(polling.fetch_add(1), 0);
    Reactor::Lease lease;
    polling.fetch_sub(1);
    reactor_.BeginLease(&lease);
    for (int i = 0; i < kept % 50; ++i) CpuRelax();
    if (!reactor_.EndLease(&lease)) {
      ++lost;
      continue;
    }
    EXPECT_EQ(polling.fetch_add(1), 0);
    ++kept;
    polling.fetch_sub(1);
    reactor_.Release();
  }
  over = true;
  for (std::thread& thief : thieves) thief.join();
  EXPECT_EQ(stolen, lost);
}

}  // namespace
}  // namespace nearcall
