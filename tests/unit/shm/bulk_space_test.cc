#include "runtime/transports/shm/bulk_space.h"

#include <deque>
#include <random>
#include <set>
#include <utility>

#include "gtest/gtest.h"

namespace nearcall {
namespace {

constexpr size_t kCapacity = 1 << 20;
constexpr size_t kNoRoom = BulkSpace::kNoRoom;

TEST(BulkSpaceTest, HasNoRoomBeforeItHasMemory) {
  BulkSpace space;
  EXPECT_EQ(space.Find(1), kNoRoom);
  space.set_capacity(kCapacity);
  EXPECT_EQ(space.Find(kCapacity), 0u);
  EXPECT_EQ(space.Find(kCapacity + 1), kNoRoom);
}

TEST(BulkSpaceTest, GivesBlocksBackInOrderAsTheReaderPassesThem) {
  BulkSpace space;
  space.set_capacity(kCapacity);
  space.Take(space.Find(kCapacity / 2), kCapacity / 2, 8);
  EXPECT_EQ(space.Find(kCapacity / 2), kCapacity / 2);
  space.Take(kCapacity / 2, kCapacity / 2, 16);
  EXPECT_EQ(space.Find(1), kNoRoom);
  space.Free(7);
  EXPECT_EQ(space.Find(1), kNoRoom) << "the reader has not come so far";
  space.Free(8);
  EXPECT_EQ(space.Find(kCapacity / 2), 0u) << "round the end";
  space.Take(0, kCapacity / 2, 24);
  EXPECT_EQ(space.Find(1), kNoRoom);
  space.Free(24);
  EXPECT_EQ(space.Find(kCapacity), 0u);
}

TEST(BulkSpaceTest, BeginsAnewWhenItIsEmpty) {
  BulkSpace space;
  space.set_capacity(kCapacity);
  for (uint64_t position = 8; position < 800; position += 8) {
    EXPECT_EQ(space.Find(1000), 0u);
    space.Take(0, 1000, position);
    space.Free(position);
  }
}

// Against a plain model: no block may touch another that is in use, each lies inside, and whatever is at most half as
// large as the whole finds room at the latest when everything is free.
TEST(BulkSpaceTest, BlocksNeverOverlap) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    BulkSpace space;
    size_t capacity = kCapacity / 4;
    space.set_capacity(capacity);
    std::deque<std::pair<size_t, size_t>> used;
    std::deque<uint64_t> positions;
    uint64_t position = 0;
    int found = 0;
    for (int step = 0; step < 2000; ++step) {
      if (step == 1000) space.set_capacity(capacity = kCapacity);  // it may grow at any time
      if (random() % 2 == 0) {
        const size_t size = 1 + random() % (capacity / 2);
        const size_t at = space.Find(size);
        if (at == kNoRoom) {
          ASSERT_FALSE(used.empty());
          continue;
        }
        ++found;
        ASSERT_EQ(at % BulkSpace::kAlignment, 0u);
        ASSERT_LE(at + size, capacity);
        for (const auto& [begin, end] : used) ASSERT_TRUE(at + size <= begin || at >= end) << at << " in " << begin;
        position += 8;
        space.Take(at, size, position);
        used.emplace_back(at, at + size);
        positions.push_back(position);
      } else if (!used.empty()) {
        const size_t count = 1 + random() % used.size();
        space.Free(positions[count - 1]);
        used.erase(used.begin(), used.begin() + static_cast<std::ptrdiff_t>(count));
        positions.erase(positions.begin(), positions.begin() + static_cast<std::ptrdiff_t>(count));
      }
    }
    EXPECT_GT(found, 100);
  }
}

}  // namespace
}  // namespace nearcall
