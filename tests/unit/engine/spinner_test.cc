#include "runtime/engine/spinner.h"

#include <sched.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/testing/sanitizer.h"

namespace nearcall {
namespace {

// How often a wait that finds nothing looks again.
int64_t Looks(Spinner* spinner) {
  spinner->Begin();
  int64_t looks = 0;
  while (spinner->KeepSpinning()) ++looks;
  spinner->Miss();
  return looks;
}

// Restores the CPUs that this thread may run on.
class OnOneCpu {
 public:
  OnOneCpu() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OnOneCpu() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

TEST(SpinnerTest, NeverSleepsAtOnce) {
  Spinner spinner(Spin::kNever);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Looks(&spinner), 0);
}

TEST(SpinnerTest, AlwaysSpinsEachTimeAndEnds) {
  Spinner spinner(Spin::kAlways);
  for (int i = 0; i < 100; ++i) EXPECT_GT(Looks(&spinner), 0);
  const OnOneCpu one;
  Spinner there(Spin::kAlways);
  EXPECT_GT(Looks(&there), 0);
}

TEST(SpinnerTest, AdaptiveGivesUpWhatDoesNotPayAndTriesAgainNowAndThen) {
  if (AllowedCpus() < 2) GTEST_SKIP() << "needs two CPUs";
  Spinner spinner(Spin::kAdaptive);
  EXPECT_GT(Looks(&spinner), 0) << "it begins with a budget";
  for (int i = 0; i < 20; ++i) Looks(&spinner);
  int spun = 0;
  for (int i = 0; i < 1000; ++i) spun += Looks(&spinner) > 0;
  EXPECT_GT(spun, 5);
  EXPECT_LT(spun, 100);
}

TEST(SpinnerTest, AdaptiveComesBackWhenItPays) {
  if (AllowedCpus() < 2) GTEST_SKIP() << "needs two CPUs";
  Spinner spinner(Spin::kAdaptive);
  for (int i = 0; i < 20; ++i) Looks(&spinner);
  // A probe that hits early.
  for (bool hit = false; !hit;) {
    spinner.Begin();
    if (spinner.KeepSpinning()) {
      spinner.Hit();
      hit = true;
    } else {
      spinner.Miss();
    }
  }
  EXPECT_GT(Looks(&spinner), 0);
}

TEST(SpinnerTest, AdaptiveLearnsNothingFromWhatWasThereAtTheFirstLook) {
  if (AllowedCpus() < 2) GTEST_SKIP() << "needs two CPUs";
  Spinner spinner(Spin::kAdaptive);
  for (int i = 0; i < 20; ++i) Looks(&spinner);
  int spun = 0;
  for (int i = 0; i < 200; ++i) {
    spinner.Begin();
    spinner.Hit();
    spun += Looks(&spinner) > 0;
  }
  EXPECT_LT(spun, 50);
}

// The peer may have another CPU, or wait for this one.
TEST(SpinnerTest, AdaptiveHardlySpinsOnOneCpuWhereItDoesNotPay) {
  const OnOneCpu one;
  Spinner spinner(Spin::kAdaptive);
  int spun = 0;
  for (int i = 0; i < 20'000; ++i) spun += Looks(&spinner) > 0;
  EXPECT_GT(spun, 2);
  EXPECT_LT(spun, 60);
}

TEST(SpinnerTest, AdaptiveSpinsOnOneCpuWhereItPays) {
  const OnOneCpu one;
  Spinner spinner(Spin::kAdaptive);
  spinner.Begin();
  ASSERT_TRUE(spinner.KeepSpinning());
  spinner.Hit();
  EXPECT_GT(Looks(&spinner), 0);
}

// Between two waits a poller finds work at its first look: a look that is none of a wait's must not use a probe up.
TEST(SpinnerTest, EveryWaitMayBeTheProbe) {
  Spinner spinner(Spin::kAdaptive);
  for (int i = 0; i < 20; ++i) Looks(&spinner);
  int spun = 0;
  for (int i = 0; i < 1000; ++i) {
    spinner.Begin();
    spinner.Hit();
    spun += Looks(&spinner) > 0;
    spinner.Begin();
    spinner.Hit();
  }
  EXPECT_GT(spun, 2);
}

// A wait that somebody else interrupted says nothing about waiting.
TEST(SpinnerTest, AdaptiveLearnsNothingFromTimeThatOthersTook) {
  if (AllowedCpus() < 2) GTEST_SKIP() << "needs two CPUs";
  Spinner spinner(Spin::kAdaptive);
  for (int i = 0; i < 20; ++i) {
    spinner.Begin();
    for (int look = 0; look < 40; ++look) ASSERT_TRUE(spinner.KeepSpinning());
    absl::SleepFor(absl::Microseconds(200));  // as good as being descheduled
    spinner.Hit();
  }
  spinner.Begin();
  EXPECT_TRUE(spinner.KeepSpinning());
  // But not for ever: where each look takes so long, sleeping is better.
  int interruptions = 0;
  while (spinner.KeepSpinning()) {
    absl::SleepFor(absl::Microseconds(200));
    ASSERT_LT(++interruptions, 1000);
  }
}

// How often a thread that shares the CPU has it while `body` runs.
template <class Body>
int64_t TurnsOfANeighbour(const Body& body) {
  const OnOneCpu one;
  std::atomic<bool> over{false};
  std::atomic<int64_t> turns{0};
  std::thread other([&] {
    while (!over) {
      ++turns;
      sched_yield();
    }
  });
  while (turns == 0) sched_yield();
  const int64_t before = turns;
  body();
  const int64_t after = turns;
  over = true;
  other.join();
  return after - before;
}

// Whoever spins gives way to others far more often than the scheduler would make it.
TEST(SpinnerTest, GivesWayToThreadsThatShareItsCpu) {
  const auto spent = [] {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return absl::DurationFromTimespec(now);
  };
  Spinner spinner(Spin::kAlways);
  const int64_t turns = TurnsOfANeighbour([&] {
    for (const absl::Duration end = spent() + absl::Milliseconds(200); spent() < end;) Looks(&spinner);
  });
  // About a thousand; without giving way the scheduler switches fifty times or so.
  EXPECT_GT(turns, 125);
}

// Other threads wait, too: who looks by system calls lets them run in each wait, who looks at memory does not.
TEST(SpinnerTest, InACrowdGivesWayWhereLookingIsSlow) {
  constexpr int kWaits = 2000;
  Spinner spinner(Spin::kAlways);
  const auto wait = [&](bool crowded, uint64_t look_nanos) {
    return TurnsOfANeighbour([&] {
      for (int i = 0; i < kWaits; ++i) {
        spinner.Begin(crowded);
        for (int look = 0; look < 4; ++look) {
          for (const uint64_t began = CycleCount(); CycleCount() - began < CyclesIn(look_nanos);) {
          }
          ASSERT_TRUE(spinner.KeepSpinning());
        }
        spinner.Hit();
      }
    });
  };
  EXPECT_GE(wait(/*crowded=*/true, 500), kWaits * 9 / 10);
  if (!NEARCALL_INSTRUMENTED) {  // no look is quick otherwise
    EXPECT_LT(wait(/*crowded=*/true, 1), kWaits / 2);
  }
  EXPECT_LT(wait(/*crowded=*/false, 500), kWaits / 2);
}

}  // namespace
}  // namespace nearcall
