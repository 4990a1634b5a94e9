// The role of poller, left by a thread that sleeps and borrowed by others.

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/engine/reactor.h"
#include "tests/testing/resources.h"
#include "tests/testing/sanitizer.h"
#include "tests/testing/watchdog.h"
#include "tests/unit/engine/bell.h"

namespace nearcall {
namespace {

// A thread that waits for long and sleeps, while another waits often and briefly.
class ReactorBorrowingTest : public ::testing::TestWithParam<Bell::Kind> {
 protected:
  // Who has asked so often whether there is an answer polls.
  static constexpr int kPolls = 3;

  void SetUp() override {
    reactor_.Add(bell_);
    sleeper_ = std::thread([this] {
      sleeper_thread_ = gettid();
      const auto over = [this] { return ++looks_ > 0 && over_; };
      EXPECT_TRUE(reactor_.Wait(over, &long_spot_, kNever));
    });
    ++asked_;
    bell_->Ring();
    testing::Await([this] { return answered_ == asked_; });  // from now on the role is the sleeper's, or borrowed
  }
  void TearDown() override {
    sleeper_.join();
    Remove(&reactor_, bell_);
  }

  void Answer() {
    if (work_) work_();
    polled_by_ = std::this_thread::get_id();
    ++answered_;
    spot_.Notify();
  }
  // Waits for an answer, and rings for it once it polls, if it ever does. Says whether this thread polled, and the
  // other slept on: the role was borrowed.
  bool ShortWait() {
    const int looks = looks_;
    int evaluated = 0;
    const auto answered = [&] {
      ++evaluated;
      if (while_it_waits_) while_it_waits_(evaluated);
      if (evaluated == rings_at_) bell_->Ring();
      return answered_ >= asked_;
    };
    ++asked_;
    while (!reactor_.Wait(answered, &spot_, MonotonicAfter(absl::Milliseconds(1)))) {
    }
    return polled_by_ == std::this_thread::get_id() && looks_ == looks;
  }
  // Until the other one has gone to sleep, it polls for both.
  void UntilItSleeps() {
    while (!ShortWait() && patient()) {
    }
  }
  // Under a sanitizer, beside other work, nobody may wait by polling for long: then less is shown.
  bool patient() const { return !NEARCALL_INSTRUMENTED || MonotonicNanos() < patience_ends_; }
  void EndLongWait() {
    over_ = true;
    long_spot_.Notify();
  }

  const int64_t patience_ends_ = MonotonicAfter(absl::Seconds(5));
  Reactor reactor_{Spin::kAdaptive};
  std::atomic<int> answered_{0};
  int asked_ = 0;
  // Used before answered_ is written, and changed once it has been read.
  std::thread::id polled_by_;
  std::function<void()> work_;
  std::function<void(int evaluated)> while_it_waits_;
  int rings_at_ = kPolls;
  const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>([this] { Answer(); }, GetParam());
  WaitSpot spot_, long_spot_;
  std::atomic<bool> over_{false};
  std::atomic<int> looks_{0};  // of the sleeper, at what it waits for: it is awake then
  std::atomic<pid_t> sleeper_thread_{0};
  std::thread sleeper_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, ReactorBorrowingTest, ::testing::Values(Bell::Kind::kDoorbell, Bell::Kind::kSocket));

// How often a thread of this process has gone to sleep. One that is woken in epoll_wait by an event that is gone
// already does so without returning.
int TimesAsleep(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  std::string word;
  int times = -1;
  while (status >> word && word != "voluntary_ctxt_switches:") {
  }
  status >> times;
  return times;
}

TEST_P(ReactorBorrowingTest, WhoWaitsBrieflyPollsAndWakesNobody) {
  constexpr int kWaits = 200;
  int polled = 0, woken = kWaits;
  while ((polled < kWaits || woken > kWaits / 10) && patient()) {
    UntilItSleeps();
    const int before = TimesAsleep(sleeper_thread_);
    polled = 0;
    while (polled < kWaits && ShortWait()) ++polled;
    woken = TimesAsleep(sleeper_thread_) - before;
  }
  EndLongWait();
}

// A socket's peer sends, awake or not: the sleeper would be woken each time.
TEST_P(ReactorBorrowingTest, EpollTellsNothingOfASocketWhileTheRoleIsBorrowed) {
  const auto told = [this] { return (WatchedFor(bell_->fd()).value_or(0) & EPOLLIN) != 0; };
  for (int i = 0; i < 10; ++i) {
    UntilItSleeps();
    bool told_while_borrowed = false;
    work_ = [&] { told_while_borrowed = told(); };  // by who polls, while it does
    if (ShortWait()) {
      EXPECT_EQ(told_while_borrowed, GetParam() == Bell::Kind::kDoorbell);
      EXPECT_TRUE(told());
    }
    work_ = nullptr;
  }
  EndLongWait();
}

TEST_P(ReactorBorrowingTest, ABorrowerWakesTheSleeperThatItHasAnAnswerFor) {
  UntilItSleeps();
  work_ = [this] { EndLongWait(); };
  ShortWait();
}

TEST_P(ReactorBorrowingTest, TheSleeperWatchesWhenTheRoleIsGivenBack) {
  UntilItSleeps();
  work_ = [this] { EndLongWait(); };
  bell_->Ring();
}

TEST_P(ReactorBorrowingTest, TheSleeperRunsTasksWhenTheRoleIsGivenBack) {
  UntilItSleeps();
  reactor_.Post([this] { EndLongWait(); });
}

// What comes in the last moment before the role is given back.
TEST_P(ReactorBorrowingTest, TheSleeperIsWokenForWhatIsLeftToDo) {
  UntilItSleeps();
  work_ = [this, worked = 0]() mutable { ++worked == 1 ? bell_->Ring() : EndLongWait(); };
  ShortWait();
}

TEST_P(ReactorBorrowingTest, TheSleeperIsWokenForTasksThatAreLeft) {
  UntilItSleeps();
  work_ = [this] { reactor_.Post([this] { EndLongWait(); }); };
  ShortWait();
}

// Among so many looks there is a glance, and at some time the wake-up comes just before it.
TEST_P(ReactorBorrowingTest, ABorrowerDoesNotTakeTheSleepersWakeUp) {
  if (GetParam() == Bell::Kind::kSocket) {
    EndLongWait();
    GTEST_SKIP() << "so many looks at it take longer than a borrower polls";
  }
  constexpr int kManyLooks = 600;
  const auto asleep = std::make_shared<Bell>([] {}, Bell::Kind::kDoorbell, /*worth_spinning=*/false);
  reactor_.Add(asleep);  // without it there is nothing to glance at
  for (int notified_at = kPolls; notified_at < kManyLooks && patient(); ++notified_at) {
    UntilItSleeps();
    const int looks = looks_;
    bool notified = false;
    rings_at_ = kManyLooks;
    while_it_waits_ = [&](int evaluated) {
      if (evaluated != notified_at) return;
      notified = true;
      long_spot_.Notify();
    };
    ShortWait();
    rings_at_ = kPolls;
    while_it_waits_ = nullptr;
    if (notified) testing::Await([&] { return looks_ > looks; });
  }
  EndLongWait();
  Remove(&reactor_, asleep);
}

// What wakes the sleeper while the role is borrowed becomes known to the borrower.
TEST_P(ReactorBorrowingTest, WhatTheSleeperHearsIsNotLost) {
  std::atomic<int> heard{0};
  WaitSpot heard_spot;
  const auto hear = [&] {
    ++heard;
    heard_spot.Notify();
  };
  const auto other = std::make_shared<Bell>(hear, Bell::Kind::kDoorbell, /*worth_spinning=*/false);
  reactor_.Add(other);
  for (int i = 1; i <= 100; ++i) {
    UntilItSleeps();
    work_ = [&] {
      const int looks = looks_;
      other->Ring();
      // Give it the time to wake up, as it does if nobody polls; without that nothing is shown, but nothing fails.
      const int64_t until = MonotonicNanos() + 200'000;
      while (looks_ == looks && MonotonicNanos() < until) CpuRelax();
    };
    ShortWait();
    work_ = nullptr;
    EXPECT_TRUE(reactor_.Wait([&] { return heard == i; }, &heard_spot, kNever));
  }
  EndLongWait();
  Remove(&reactor_, other);
}

}  // namespace
}  // namespace nearcall
