#include "runtime/engine/inline_runs.h"

#include "gtest/gtest.h"

namespace nearcall {
namespace {

constexpr uint64_t kShort = 1'000, kLong = 1'000'000;  // nanoseconds

// Runs, one after the other, on a clock of the test's.
class InlineRunsTest : public ::testing::Test {
 protected:
  // A run of `method` that ends `nanos` after the one before. Whether it is timed by itself.
  bool Run(InlineRuns::Method* method, uint64_t nanos) {
    const bool timed = method->TimeThis();
    now_ += CyclesIn(nanos);
    runs_.Ended(method, timed, now_);
    return timed;
  }

  InlineRuns runs_;
  uint64_t now_ = CyclesIn(kLong);
};

TEST_F(InlineRunsTest, TheFirstRunOfAMethodIsTimed) {
  InlineRuns::Method one, other;
  EXPECT_TRUE(Run(&one, kShort));
  EXPECT_FALSE(Run(&one, kShort));
  EXPECT_TRUE(Run(&other, kShort));
  EXPECT_FALSE(Run(&other, kShort));
}

TEST_F(InlineRunsTest, RunsInQuickSuccessionAreNotTimed) {
  InlineRuns::Method method;
  Run(&method, kShort);
  for (int i = 0; i < 1000; ++i) ASSERT_FALSE(Run(&method, kShort));
}

TEST_F(InlineRunsTest, TheRunAfterOneThatMayHaveBeenLongIsTimed) {
  InlineRuns::Method method, other;
  Run(&method, kShort);
  Run(&other, kShort);
  EXPECT_FALSE(Run(&method, kLong));
  EXPECT_FALSE(Run(&other, kShort)) << "nobody suspects this one";
  EXPECT_TRUE(Run(&method, kShort));
  EXPECT_FALSE(Run(&method, kShort));
}

// A handler that turns slow is found out at its second run at the latest, and one that stays slow at each second run.
TEST_F(InlineRunsTest, LongRunsAreTimedEachSecondTime) {
  InlineRuns::Method method;
  Run(&method, kShort);
  int timed = 0;
  for (int i = 0; i < 100; ++i) timed += Run(&method, kLong);
  EXPECT_EQ(timed, 50);
}

}  // namespace
}  // namespace nearcall
