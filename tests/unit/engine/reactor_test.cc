#include "runtime/engine/reactor.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/parker.h"
#include "tests/testing/resources.h"
#include "tests/testing/watchdog.h"
#include "tests/unit/engine/bell.h"

namespace {
thread_local int yields_of_this_thread = 0;
}  // namespace

// In the C library's stead: counts.
extern "C" int sched_yield() noexcept {
  ++yields_of_this_thread;
  return static_cast<int>(syscall(SYS_sched_yield));
}

namespace nearcall {
namespace {

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
            testing::Await([&] { return reactor.role()->has_followers(); });
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
