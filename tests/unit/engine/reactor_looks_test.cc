// At what a poller looks, and how often.

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/engine/reactor.h"
#include "tests/unit/engine/bell.h"

namespace {
thread_local int glances_of_this_thread = 0;
}  // namespace

// In the C library's stead: counts.
extern "C" int epoll_pwait2(int epoll, epoll_event* events, int size, const timespec* timeout, const sigset_t* mask) {
  ++glances_of_this_thread;
  return static_cast<int>(syscall(SYS_epoll_pwait2, epoll, events, size, timeout, mask, _NSIG / 8));
}

namespace nearcall {
namespace {

class ReactorLooksTest : public ::testing::TestWithParam<Spin> {
 protected:
  Reactor reactor_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Spins, ReactorLooksTest, ::testing::Values(Spin::kNever, Spin::kAdaptive, Spin::kAlways));

// Nobody pays for what nobody asks; a sleeper hears of everything.
TEST_P(ReactorLooksTest, ABusySocketIsNotWatchedUntilItsPollerSleeps) {
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
TEST_P(ReactorLooksTest, AmongManyTheQuietOnesCostTheBusyOnesLittle) {
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

}  // namespace
}  // namespace nearcall
