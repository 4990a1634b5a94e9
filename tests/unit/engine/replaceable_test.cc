#include "runtime/engine/replaceable.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/base/cpu.h"

namespace nearcall {
namespace {

// Says so while it lives, and nothing that can be trusted afterwards.
struct Object {
  static constexpr uint64_t kAlive = 0x616c697665;
  explicit Object(std::atomic<int>* count) : count(count) { ++*count; }
  ~Object() {
    alive.store(0, std::memory_order_relaxed);
    --*count;
  }
  std::atomic<int>* const count;
  std::atomic<uint64_t> alive{kAlive};
};
using Slot = Replaceable<Object>;

// A use by a thread of its own, from construction until End.
class UseElsewhere {
 public:
  explicit UseElsewhere(Slot* slot)
      : thread_([this, slot] {
          Slot::Use use(slot);
          used_.Notify();
          may_end_.WaitForNotification();
          EXPECT_EQ(use.get()->alive, Object::kAlive);
        }) {
    used_.WaitForNotification();
  }
  void End() {
    may_end_.Notify();
    thread_.join();
  }

 private:
  absl::Notification used_, may_end_;
  std::thread thread_;
};

class ReplaceableTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!MembarrierOfProcess()) GTEST_SKIP() << "every use takes the lock where the kernel has no membarrier";
  }
  std::shared_ptr<Object> New() { return std::make_shared<Object>(&count_); }

  std::atomic<int> count_{0};
};

TEST_F(ReplaceableTest, IsWhatItWasSetTo) {
  Slot slot;
  EXPECT_EQ(slot.Get(), nullptr);
  EXPECT_EQ(Slot::Use(&slot).get(), nullptr);
  const std::shared_ptr<Object> object = New();
  slot.Set(object);
  EXPECT_EQ(slot.Get(), object);
  EXPECT_EQ(Slot::Use(&slot).get(), object.get());
  slot.Set(nullptr);
  EXPECT_EQ(slot.Get(), nullptr);
  EXPECT_EQ(Slot::Use(&slot).get(), nullptr);
}

TEST_F(ReplaceableTest, WhatNobodyUsesIsLetGoAtOnce) {
  Slot slot;
  slot.Set(New());
  EXPECT_EQ(count_, 1);
  { Slot::Use used_before(&slot); }
  slot.Set(New());
  EXPECT_EQ(count_, 1);
  slot.Drop(slot.Get().get());
  EXPECT_EQ(count_, 0);
  EXPECT_EQ(slot.Get(), nullptr);
}

TEST_F(ReplaceableTest, OnlyWhatItIsIsDropped) {
  Slot slot;
  const std::shared_ptr<Object> before = New();
  slot.Set(before);
  slot.Set(New());
  slot.Drop(before.get());
  EXPECT_NE(slot.Get(), nullptr);
}

TEST_F(ReplaceableTest, TheLastUseLetsGoOfWhatWasReplaced) {
  Slot slot;
  slot.Set(New());
  UseElsewhere elsewhere(&slot);
  {
    Slot::Use use(&slot);
    slot.Set(New());
    EXPECT_EQ(count_, 2);
    EXPECT_EQ(use.get()->alive, Object::kAlive);
  }
  EXPECT_EQ(count_, 2) << "the other thread still uses it";
  { Slot::Use use_of_the_new_one(&slot); }
  EXPECT_EQ(count_, 2);
  elsewhere.End();
  EXPECT_EQ(count_, 1);
}

TEST_F(ReplaceableTest, AUseWithinAUseIsToTakeAReference) {
  Slot outer, inner;
  outer.Set(New());
  inner.Set(New());
  Slot::Use use(&outer);
  ASSERT_NE(use.get(), nullptr);
  {
    Slot::Use within(&inner);
    EXPECT_EQ(within.get(), nullptr);
    EXPECT_NE(inner.Get(), nullptr);
  }
  outer.Set(nullptr);
  EXPECT_EQ(use.get()->alive, Object::kAlive) << "the use within has not ended the other one's";
}

TEST_F(ReplaceableTest, ThreadsThatComeAndGoProtectWhatTheyUse) {
  Slot slot;
  slot.Set(New());
  for (int i = 0; i < 100; ++i) {
    UseElsewhere elsewhere(&slot);
    slot.Set(New());
    EXPECT_EQ(count_, 2);
    elsewhere.End();
    ASSERT_EQ(count_, 1);
  }
}

TEST_F(ReplaceableTest, IsReplacedUnderItsUsers) {
  constexpr int kUsers = 2;
  constexpr int kReplacements = 50'000;
  constexpr int kLooks = 200;  // so that whoever lets go of what is in use has done so before the last of them
  // Their memory stays: what is let go while it is in use shows.
  std::vector<std::atomic<bool>> gone(kReplacements);
  Replaceable<std::atomic<bool>> slot;
  std::atomic<bool> over{false};
  std::atomic<int> uses{0};
  std::vector<std::thread> users;
  for (int i = 0; i < kUsers; ++i) {
    users.emplace_back([&] {
      while (!over.load(std::memory_order_relaxed)) {
        const Replaceable<std::atomic<bool>>::Use use(&slot);
        if (use.get() == nullptr) continue;
        uses.fetch_add(1, std::memory_order_relaxed);
        for (int look = 0; look < kLooks; ++look) {
          if (use.get()->load(std::memory_order_relaxed)) {
            ADD_FAILURE() << "it is gone";
            return;
          }
        }
      }
    });
  }
  while (uses.load(std::memory_order_relaxed) == 0) slot.Set(std::make_shared<std::atomic<bool>>(false));
  for (std::atomic<bool>& one : gone) {
    slot.Set(std::shared_ptr<std::atomic<bool>>(&one, [](std::atomic<bool>* object) { *object = true; }));
  }
  over = true;
  for (std::thread& user : users) user.join();
  slot.Set(nullptr);
  for (const std::atomic<bool>& one : gone) EXPECT_TRUE(one);
}

}  // namespace
}  // namespace nearcall
