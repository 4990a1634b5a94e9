#include "runtime/engine/spinner.h"

#include <sched.h>

#include "gtest/gtest.h"

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

}  // namespace
}  // namespace nearcall
