#include "runtime/engine/poller_role.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"

namespace nearcall {
namespace {

class PollerRoleTest : public ::testing::Test {
 protected:
  // A thread follows; then the role is given up, or left.
  void Chance(bool left);

  PollerRole role_;
};

TEST_F(PollerRoleTest, ALentRoleIsTakenBackStolenOrHandedOff) {
  PollerRole::Lease lease;
  ASSERT_TRUE(role_.TryAcquire());
  EXPECT_FALSE(role_.TryAcquire());
  EXPECT_EQ(role_.lent_ticket(), 0u);
  for (int i = 0; i < 3; ++i) {
    role_.BeginLease(&lease);
    const uint64_t ticket = role_.lent_ticket();
    EXPECT_NE(ticket, 0u);
    EXPECT_FALSE(role_.TryAcquire());
    EXPECT_TRUE(role_.EndLease(&lease));
    EXPECT_FALSE(role_.Steal(ticket)) << "an old ticket";
  }
  role_.BeginLease(&lease);
  EXPECT_TRUE(role_.Steal(role_.lent_ticket()));
  EXPECT_FALSE(role_.EndLease(&lease));
  role_.BeginLease(&lease);
  PollerRole::HandOffLease();
  EXPECT_TRUE(lease.lost());
  EXPECT_TRUE(role_.TryAcquire());
  EXPECT_FALSE(role_.EndLease(&lease));
  role_.Release();
}

TEST_F(PollerRoleTest, TheObserverHearsThatALeaseIsLostBeforeItsEnd) {
  struct Losses final : PollerRole::LeaseObserver {
    void OnLeaseLost() override { ++count; }
    int count = 0;
  } losses;
  PollerRole::Lease lease;
  ASSERT_TRUE(role_.TryAcquire());
  role_.BeginLease(&lease, &losses);
  ASSERT_TRUE(role_.Reclaim(&lease));
  role_.LendAgain(&lease, /*held=*/true);
  EXPECT_TRUE(role_.EndLease(&lease));
  EXPECT_EQ(losses.count, 0);
  role_.BeginLease(&lease, &losses);
  ASSERT_TRUE(role_.Reclaim(&lease));
  role_.LendAgain(&lease, /*held=*/true);
  ASSERT_TRUE(role_.Steal(role_.lent_ticket()));
  EXPECT_EQ(losses.count, 1);
  EXPECT_FALSE(role_.EndLease(&lease));
  role_.BeginLease(&lease, &losses);
  PollerRole::HandOffLease();
  EXPECT_EQ(losses.count, 2);
  EXPECT_FALSE(role_.EndLease(&lease));
  ASSERT_TRUE(role_.TryAcquire());
  role_.BeginLease(&lease);
  ASSERT_TRUE(role_.Steal(role_.lent_ticket()));
  EXPECT_EQ(losses.count, 2) << "a lease without observer";
  EXPECT_FALSE(role_.EndLease(&lease));
  role_.Release();
}

TEST_F(PollerRoleTest, ALeaseWakesAWatcherThatDozes) {
  int woken = 0;
  role_.set_wake_watcher([&] { ++woken; });
  PollerRole::Lease lease;
  ASSERT_TRUE(role_.TryAcquire());
  role_.BeginLease(&lease);
  ASSERT_TRUE(role_.EndLease(&lease));
  EXPECT_EQ(woken, 0);
  role_.set_watcher_dozes(true);
  role_.BeginLease(&lease);
  EXPECT_EQ(woken, 1);
  role_.set_watcher_dozes(false);
  ASSERT_TRUE(role_.EndLease(&lease));
  role_.Release();
}

// A lender and thieves: each lease ends exactly one way.
TEST_F(PollerRoleTest, LendersAndThievesAgree) {
  std::atomic<bool> over{false};
  std::atomic<int> polling{0}, stolen{0};
  std::vector<std::thread> thieves;
  for (int t = 0; t < 2; ++t) {
    thieves.emplace_back([&] {
      while (!over) {
        const uint64_t ticket = role_.lent_ticket();
        if (ticket == 0 || !role_.Steal(ticket)) continue;
        EXPECT_EQ(polling.fetch_add(1), 0);
        ++stolen;
        polling.fetch_sub(1);
        role_.Release();
      }
    });
  }
  int kept = 0, lost = 0;
  while (kept + lost < 20'000) {
    if (!role_.TryAcquire()) continue;
    EXPECT_EQ(polling.fetch_add(1), 0);
    PollerRole::Lease lease;
    polling.fetch_sub(1);
    role_.BeginLease(&lease);
    for (int i = 0; i < kept % 50; ++i) CpuRelax();
    if (!role_.EndLease(&lease)) {
      ++lost;
      continue;
    }
    EXPECT_EQ(polling.fetch_add(1), 0);
    ++kept;
    polling.fetch_sub(1);
    role_.Release();
  }
  over = true;
  for (std::thread& thief : thieves) thief.join();
  EXPECT_EQ(stolen, lost);
}

TEST_F(PollerRoleTest, ARoleThatWasLeftIsBorrowedAndGivenBack) {
  int told = 0;
  const auto tell = [&] { ++told; };
  ASSERT_TRUE(role_.TryAcquire());
  EXPECT_FALSE(role_.TryBorrow()) << "it is held";
  role_.Leave();
  EXPECT_FALSE(role_.TryAcquire()) << "it was left, not given up";
  EXPECT_TRUE(role_.TryBorrow());
  EXPECT_FALSE(role_.TryBorrow()) << "it is borrowed";
  EXPECT_TRUE(role_.TryGiveBack());
  EXPECT_TRUE(role_.ReturnFromSleep(tell));
  EXPECT_EQ(told, 0);
  role_.Leave();
  ASSERT_TRUE(role_.TryBorrow());
  EXPECT_FALSE(role_.ReturnFromSleep(tell)) << "it is borrowed";
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(role_.TryGiveBack()) << "it is the borrower's own";
  role_.Release();
  EXPECT_TRUE(role_.TryAcquire());
}

void PollerRoleTest::Chance(bool left) {
  ASSERT_TRUE(role_.TryAcquire());
  std::thread follower([&] {
    WaitSpot spot;
    EXPECT_TRUE(role_.Follow(
        &spot, [] { return false; }, kNever, /*may_borrow=*/left));
    EXPECT_TRUE(left ? role_.TryBorrow() : role_.TryAcquire());
  });
  while (!role_.has_followers()) std::this_thread::yield();
  if (left) {
    role_.Leave();
    role_.OfferToFollower();
  } else {
    role_.Release();
  }
  follower.join();
  EXPECT_FALSE(role_.has_followers());
}

TEST_F(PollerRoleTest, AFollowerTakesTheRoleThatIsGivenUp) { Chance(/*left=*/false); }

TEST_F(PollerRoleTest, AFollowerBorrowsTheRoleThatWasLeft) { Chance(/*left=*/true); }

}  // namespace
}  // namespace nearcall
