#include "nearcall/internal/mutex.h"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/resources.h"
#include "tests/testing/watchdog.h"

namespace nearcall::internal {
namespace {

TEST(MutexTest, OneThreadHasItAtATime) {
  constexpr int kThreads = 4;
  constexpr int kTurns = 50'000;
  Mutex mu;
  int64_t turns = 0;  // not atomic: the lock's to protect
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        const MutexLock lock(&mu);
        const int64_t before = turns;
        if (turn % 64 == 0) sched_yield();  // the others come and find it held
        turns = before + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(turns, kThreads * kTurns);
}

TEST(MutexTest, WhoeverWaitsSleepsAndEachIsWoken) {
  constexpr int kThreads = 3;
  Mutex mu;
  std::atomic<pid_t> ids[kThreads] = {};
  std::atomic<int> had{0};
  mu.Lock();
  std::vector<std::thread> threads;
  for (std::atomic<pid_t>& id : ids) {
    threads.emplace_back([&mu, &had, &id] {
      id = gettid();
      const MutexLock lock(&mu);
      ++had;
    });
  }
  for (const std::atomic<pid_t>& id : ids) {
    testing::Await([&] { return id != 0; });
    testing::AwaitAsleep(id);
  }
  EXPECT_EQ(had, 0);
  mu.Unlock();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(had, kThreads);
}

}  // namespace
}  // namespace nearcall::internal
