#include "runtime/engine/reactor.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"
#include "runtime/base/parker.h"
#include "tests/testing/resources.h"
#include "tests/testing/sanitizer.h"
#include "tests/testing/watchdog.h"

namespace {
thread_local int yields_of_this_thread = 0;
thread_local int glances_of_this_thread = 0;
}  // namespace

// In the C library's stead: counts.
extern "C" int sched_yield() noexcept {
  ++yields_of_this_thread;
  return static_cast<int>(syscall(SYS_sched_yield));
}

// The same.
extern "C" int epoll_pwait2(int epoll, epoll_event* events, int size, const timespec* timeout, const sigset_t* mask) {
  ++glances_of_this_thread;
  return static_cast<int>(syscall(SYS_epoll_pwait2, epoll, events, size, timeout, mask, _NSIG / 8));
}

namespace nearcall {
namespace {

// Something to poll: does its work when it is rung for.
class Bell final : public Pollable {
 public:
  // What its descriptor is like: a doorbell's, which is written only for who sleeps, and told of once; or a socket's,
  // which is ready for as long as nobody has read it.
  enum class Kind { kDoorbell, kSocket };

  explicit Bell(std::function<void()> work, Kind kind = Kind::kDoorbell, bool worth_spinning = true)
      : work_(std::move(work)),
        kind_(kind),
        worth_spinning_(worth_spinning),
        fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Any thread.
  void Ring() {
    if (kind_ == Kind::kDoorbell) rung_ = true;
    if (kind_ == Kind::kSocket || sleeps_.load()) {
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
    ++looks_;
    uint64_t count;
    const bool rung = kind_ == Kind::kSocket ? read(fd_.get(), &count, sizeof count) > 0 : rung_.exchange(false);
    if (rung) work_();
    inside_ = false;
    if (finished_) return Polled::kFinished;
    return rung ? Polled::kProgress : Polled::kIdle;
  }
  bool PrepareSleep() override {
    sleeps_ = true;
    return !rung_;
  }
  void FinishSleep(uint32_t) override { sleeps_ = false; }
  bool worth_spinning() const override { return worth_spinning_; }
  int watched_fds(WatchedFd* fds) const override {
    fds[0] = WatchedFd{fd_.get(), kind_ == Kind::kDoorbell};
    return 1;
  }
  int fd() const { return fd_.get(); }
  int looks() const { return looks_; }

 private:
  const std::function<void()> work_;
  const Kind kind_;
  const bool worth_spinning_;
  std::atomic<bool> rung_{false};  // a doorbell
  std::atomic<int> looks_{0};
  std::atomic<bool> sleeps_{false}, finished_{false}, inside_{false};
  Fd fd_;
};

// Has the reactor let go of it.
void Remove(Reactor* reactor, const std::shared_ptr<Bell>& bell) {
  WaitSpot spot;
  bell->Finish();
  while (bell.use_count() > 1) {
    reactor->Wait([&] { return bell.use_count() == 1; }, &spot, MonotonicNanos() + 1'000'000);
  }
}

// Somebody who asks again and again, and waits for the answer.
struct Waiter {
  void Answer() {
    const int question = asked.load();
    if (answered.exchange(question) != question) spot.Notify();
  }

  std::atomic<int> asked{0}, answered{0};
  // Here and not with the thread, which may be through with its last wait before it is notified of it.
  WaitSpot spot;
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
  std::vector<Waiter> waiters(kThreads);
  const auto bell = std::make_shared<Bell>([&] {
    for (Waiter& waiter : waiters) waiter.Answer();
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
  Remove(&reactor_, bell);
}

// Some wait long, others short, some give up; tasks come, and things to poll come and go; some are answered by who does
// not poll. Nobody waits for ever, and nothing is polled after it has gone.
TEST_P(ReactorTest, LongAndShortWaits) {
  for (const Bell::Kind kind : {Bell::Kind::kDoorbell, Bell::Kind::kSocket}) {
    constexpr int kThreads = 6;
    constexpr int kLong = 2;  // of them wait long
    constexpr int kWaits = 1500;
    std::vector<Waiter> waiters(kThreads);
    int looks = 0;  // the poller's
    const auto bell = std::make_shared<Bell>(
        [&] {
          const bool late = ++looks % 37 == 0;
          for (int t = late ? 0 : kLong; t < kThreads - 1; ++t) waiters[t].Answer();
        },
        kind);
    reactor_.Add(bell);
    std::atomic<int> waiting{kThreads};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        Waiter& me = waiters[t];
        for (int i = 1; i <= (t < kLong ? kWaits / 20 : kWaits); ++i) {
          me.asked = i;
          bell->Ring();
          const auto done = [&] { return me.answered == i; };
          const int64_t patience = (i % 7) * 50'000;
          while (!reactor_.Wait(done, &me.spot, i % 3 == 0 ? MonotonicNanos() + patience : kNever)) {
          }
        }
        --waiting;
      });
    }
    std::atomic<int> ran{0};
    int posted = 0;
    while (waiting > 0) {
      waiters[kThreads - 1].Answer();  // as who cancels a call
      reactor_.Post([&] { ++ran; });
      if (++posted % 8 == 0) {
        const auto guest = std::make_shared<Bell>([] {}, kind);
        reactor_.Add(guest);
        Remove(&reactor_, guest);
      }
      bell->Ring();
      std::this_thread::yield();
    }
    for (std::thread& thread : threads) thread.join();
    Remove(&reactor_, bell);
    EXPECT_EQ(ran, posted);
  }
}

// What an epoll of this process watches the descriptor for; nothing if none does.
std::optional<uint32_t> WatchedFor(int fd) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    for (std::string word; info >> word;) {
      int watched;
      uint32_t events;
      if (word != "tfd:" || !(info >> watched) || watched != fd) continue;
      if (info >> word >> std::hex >> events) return events;
    }
  }
  return std::nullopt;
}

// Nobody pays for what nobody asks; a sleeper hears of everything.
TEST_P(ReactorTest, ABusySocketIsNotWatchedUntilItsPollerSleeps) {
  for (const Bell::Kind kind : {Bell::Kind::kSocket, Bell::Kind::kDoorbell}) {
    WaitSpot spot;
    std::atomic<int> rung{0};
    const auto bell = std::make_shared<Bell>([&] { ++rung; }, kind);
    reactor_.Add(bell);
    const auto ring = [&](int times) {
      for (int i = 0; i < times; ++i) {
        const int before = rung;
        bell->Ring();
        EXPECT_TRUE(reactor_.Wait([&] { return rung > before; }, &spot, kNever));
      }
    };
    for (int again = 0; again < 3; ++again) {
      ring(10);
      EXPECT_TRUE(WatchedFor(bell->fd()));
      ring(1000);
      EXPECT_EQ(WatchedFor(bell->fd()).has_value(), kind == Bell::Kind::kDoorbell);
      EXPECT_FALSE(reactor_.Wait([] { return false; }, &spot, MonotonicNanos() + 2'000'000));
      EXPECT_TRUE(WatchedFor(bell->fd()));
      std::thread peer([&] { bell->Ring(); });
      const int before = rung;
      EXPECT_TRUE(reactor_.Wait([&] { return rung > before; }, &spot, kNever));
      peer.join();
    }
    Remove(&reactor_, bell);
  }
}

// Among many, who is quiet is not looked at, and is heard all the same, the sooner the more a look costs.
TEST_P(ReactorTest, AmongManyTheQuietOnesCostTheBusyOnesLittle) {
  struct Looks {
    Bell::Kind kind;
    int busy;
    int at_the_quiet, until_heard;  // at most
  };
  for (const Looks& most :
       {Looks{Bell::Kind::kDoorbell, 8, 4096 / 8, 512}, Looks{Bell::Kind::kSocket, 8, 16, 16},
        Looks{Bell::Kind::kDoorbell, 1, 4096 / 2 + 1, 512}, Looks{Bell::Kind::kSocket, 1, 65, 16}}) {
    WaitSpot spot;
    int rung = 0;
    bool heard = false;
    std::vector<std::shared_ptr<Bell>> busy(most.busy);
    for (std::shared_ptr<Bell>& bell : busy) {
      bell = std::make_shared<Bell>([&] { bell->Ring(), ++rung; }, most.kind);
      reactor_.Add(bell);
      bell->Ring();
    }
    std::vector<std::shared_ptr<Bell>> quiet(5);
    for (std::shared_ptr<Bell>& bell : quiet) {
      bell = std::make_shared<Bell>([&] { heard = true; }, most.kind);
      reactor_.Add(bell);
    }
    const auto work_on = [&](int times) {
      const int end = rung + times;
      EXPECT_TRUE(reactor_.Wait([&] { return rung >= end; }, &spot, kNever));
    };
    work_on(8000);
    std::vector<int> looks;
    for (const std::shared_ptr<Bell>& bell : quiet) {
      looks.push_back(bell->looks());
      EXPECT_LE(looks.back(), most.at_the_quiet);
    }
    work_on(8000);
    for (size_t i = 0; i < quiet.size(); ++i) EXPECT_EQ(quiet[i]->looks(), looks[i]);

    for (int again = 0; again < 20; ++again) {
      quiet.back()->Ring();
      const int before = rung;
      heard = false;
      EXPECT_TRUE(reactor_.Wait([&] { return heard; }, &spot, kNever));
      EXPECT_LE(rung - before, most.until_heard + most.busy);  // the pass is ended first
      work_on(8000);
    }
    for (const std::shared_ptr<Bell>& bell : busy) Remove(&reactor_, bell);
    for (const std::shared_ptr<Bell>& bell : quiet) Remove(&reactor_, bell);
  }
}

// Among many of whom most are asleep, those whose turn it may be are looked after the sooner the less there is to do.
class ReactorGlanceTest : public ::testing::Test {
 protected:
  ReactorGlanceTest() {
    for (std::shared_ptr<Bell>& bell : bells_) {
      bell = std::make_shared<Bell>([this] { ++rung_; });
      reactor_.Add(bell);
    }
    WaitInVain();  // puts them to sleep
  }
  ~ReactorGlanceTest() override {
    for (const std::shared_ptr<Bell>& bell : bells_) Remove(&reactor_, bell);
  }

  // As long as the reactor's policy says. Counts passes and glances.
  void WaitInVain() {
    passes_ = glances_of_this_thread = 0;
    const auto done = [this] {
      ++passes_;
      return false;
    };
    reactor_.Wait(done, &spot_, MonotonicNanos());
  }

  Reactor reactor_{Spin::kAlways};
  WaitSpot spot_;
  std::shared_ptr<Bell> bells_[6];
  int rung_ = 0;
  int passes_ = 0;
};

TEST_F(ReactorGlanceTest, WhereNobodyIsActiveNearlyAllTheTime) {
  for (int i = 0; i < 20; ++i) {
    WaitInVain();
    EXPECT_GE(glances_of_this_thread, passes_ / 20) << passes_;
  }
}

TEST_F(ReactorGlanceTest, WhereNothingComesFromWhoIsActiveOften) {
  for (int i = 0; i < 20; ++i) {
    bells_[0]->Ring();
    const int before = rung_;
    ASSERT_TRUE(reactor_.Wait([&] { return rung_ > before; }, &spot_, kNever));
    WaitInVain();
    EXPECT_GE(glances_of_this_thread, passes_ / 40 - 1) << passes_;
  }
}

// Others wait for what comes over the same connection. Where a look costs as much as changing threads, each wait lets
// them run: what they send then goes along. Where it costs next to nothing, however slow the machine, a poller goes on.
TEST(ReactorCrowdTest, AWaitGivesWayToOthersWhereEachLookIsASystemCall) {
  for (const Bell::Kind kind : {Bell::Kind::kSocket, Bell::Kind::kDoorbell}) {
    // Not on the stack: where a sanitizer makes frames of its own they are aligned to 32 bytes only.
    const auto owned = std::make_unique<Reactor>(Spin::kAlways);
    Reactor& reactor = *owned;
    ASSERT_TRUE(reactor.Open().ok());
    int rung = 0;
    const auto bell = std::make_shared<Bell>([&] { ++rung; }, kind);
    reactor.Add(bell);
    WaitSpot spot, others_spot;
    std::atomic<bool> over{false};
    std::thread other;
    int passes = 0;
    yields_of_this_thread = 0;
    EXPECT_TRUE(reactor.Wait(
        [&] {
          if (++passes == 2) {  // before the first pass nobody polls yet
            other = std::thread([&] { reactor.Wait([&] { return over.load(); }, &others_spot, kNever); });
            while (!reactor.role()->has_followers()) absl::SleepFor(absl::Milliseconds(1));
          }
          if (passes % 10 == 0) bell->Ring();  // ends a wait
          return rung == 100;
        },
        &spot, kNever));
    const int yields = yields_of_this_thread;
    over = true;
    others_spot.Notify();
    other.join();
    if (kind == Bell::Kind::kSocket) {
      EXPECT_GE(yields, 90);
    } else {
      EXPECT_LE(yields, 50);
    }
    Remove(&reactor, bell);
  }
}

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

// Something to poll that no descriptor tells of. It sleeps until `due`; without that, never.
class Scripted final : public Pollable {
 public:
  explicit Scripted(std::function<Polled()> work, int64_t due = 0) : work_(std::move(work)), due_(due) {}
  Polled Poll() override { return work_(); }
  bool PrepareSleep() override { return due_ != 0; }
  void FinishSleep(uint32_t) override {}
  int watched_fds(WatchedFd*) const override { return 0; }
  int64_t next_deadline() const override { return due_ != 0 ? due_ : kNever; }

 private:
  const std::function<Polled()> work_;
  const int64_t due_;
};

TEST_P(ReactorTest, WhatHoldsUpEachPollerKeepsNobodyFromItsTurn) {
  std::string turns;
  // Handlers that take too long: while one runs, the role is stolen. This thread plays the thief, too.
  const auto greedy = std::make_shared<Scripted>([&] {
    turns += 'g';
    PollerRole::Lease lease;
    reactor_.role()->BeginLease(&lease);
    EXPECT_TRUE(reactor_.role()->Steal(reactor_.role()->lent_ticket()));
    EXPECT_FALSE(reactor_.role()->EndLease(&lease));
    return Polled::kRoleLost;
  });
  const auto modest = std::make_shared<Scripted>([&] {
    turns += 'm';
    return Polled::kProgress;
  });
  reactor_.Add(greedy);
  reactor_.Add(modest);
  ASSERT_TRUE(reactor_.TryAcquire());
  for (int thief = 0; thief < 3; ++thief) EXPECT_FALSE(reactor_.PollUntil([] { return false; }));
  EXPECT_EQ(turns, "gmgmg");
  reactor_.Clear();
  reactor_.Release();
}

// A handler that waits inside a pass polls what comes behind its own connection first, and does not sleep before it has
// looked at what comes before that, too, and at the connection itself.
TEST_P(ReactorTest, NobodySleepsBeforeAWholePass) {
  const int64_t give_up = MonotonicNanos() + 2'000'000'000;  // so that nothing waits for ever
  int looks = 0;
  std::shared_ptr<Scripted> first;
  first = std::make_shared<Scripted>(
      [&] {
        if (++looks == 1) {
          reactor_.Nudge(first.get());  // it is active already; all that is asked for is another look
          EXPECT_TRUE(reactor_.PollUntil([&] { return looks > 1 || MonotonicNanos() >= give_up; }));
        }
        return Polled::kIdle;
      },
      give_up);
  reactor_.Add(first);
  reactor_.Add(std::make_shared<Scripted>([] { return Polled::kIdle; }, give_up));
  ASSERT_TRUE(reactor_.TryAcquire());
  EXPECT_TRUE(reactor_.PollUntil([&] { return looks > 0; }));
  EXPECT_GT(looks, 1);
  EXPECT_LT(MonotonicNanos(), give_up);
  reactor_.Clear();
  reactor_.Release();
}

TEST_P(ReactorTest, ThePollerMakesWayForWhomItHasWoken) {
  constexpr int kTimes = 20;
  std::atomic<int> woken{0}, came{0};
  std::atomic<Parker*> parker{nullptr};
  std::atomic<pid_t> thread{0};
  std::thread other([&] {
    parker = Parker::ForThisThread();
    thread = gettid();
    while (came < kTimes) {
      parker.load()->Park(kNever);
      came = woken.load();
    }
  });
  int looks = 0;  // since it was woken
  int yields = 0;
  int made_way = 0;
  reactor_.Add(std::make_shared<Scripted>([&] {
    if (woken > 0 && ++looks == 2 && yields_of_this_thread > yields) ++made_way;
    if (woken == kTimes || came < woken || thread == 0 || looks == 1) return Polled::kIdle;
    testing::AwaitAsleep(thread);
    looks = 0;
    yields = yields_of_this_thread;
    ++woken;
    parker.load()->Unpark();
    return Polled::kProgress;
  }));
  ASSERT_TRUE(reactor_.TryAcquire());
  EXPECT_TRUE(reactor_.PollUntil([&] { return came == kTimes && looks > 1; }));
  other.join();
  EXPECT_EQ(made_way, kTimes);
  reactor_.Clear();
  reactor_.Release();
}

}  // namespace
}  // namespace nearcall
