#include "runtime/engine/quota.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/engine/inbox.h"
#include "runtime/engine/ping_strikes.h"

namespace nearcall {
namespace {

TEST(QuotaTest, GivesAsMuchAsItHas) {
  Quota quota("some", 3);
  EXPECT_EQ(quota.Take(2), nullptr);
  EXPECT_EQ(quota.Take(2), &quota);
  EXPECT_EQ(quota.Take(1), nullptr);
  EXPECT_EQ(quota.Take(1), &quota);
  quota.Give(1);
  EXPECT_EQ(quota.Take(1), nullptr);
  EXPECT_EQ(quota.taken(), 3);
}

TEST(QuotaTest, AsksItsParents) {
  Quota server("server", 5);
  Quota user("user", 4, &server), other("other", 4, &server);
  Quota connection("connection", 3, &user), free("free", -1, &user);
  EXPECT_EQ(connection.Take(4), &connection);
  EXPECT_EQ(connection.Take(3), nullptr);
  EXPECT_EQ(free.Take(2), &user) << "which has one left";
  EXPECT_EQ(free.Take(1), nullptr);
  EXPECT_EQ(other.Take(2), &server) << "which has one left";
  // What was refused above was taken from nobody.
  EXPECT_EQ(other.taken(), 0);
  EXPECT_EQ(server.taken(), 4);
  connection.Give(3);
  free.Give(1);
  EXPECT_EQ(server.taken(), 0);
  EXPECT_EQ(user.taken(), 0);
}

TEST(QuotaTest, WithoutLimitHasNone) {
  Quota quota("none", -1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(quota.Take(INT64_MAX / 2), nullptr);
}

TEST(QuotaTest, IsNeverOverdrawn) {
  Quota quota("some", 3);
  std::atomic<int> out{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20'000; ++round) {
        if (quota.Take(1) != nullptr) continue;
        EXPECT_LE(out.fetch_add(1) + 1, 3);
        out.fetch_sub(1);
        quota.Give(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(quota.taken(), 0);
}

// --- What an inbox takes from it ---

constexpr int64_t kStep = 16 * 1024;
constexpr int64_t kFree = 4 * 1024;

Inbox::Put Put(Inbox* inbox, size_t size, uint32_t left = 0) {
  const std::string bytes(size, 'x');
  Frame frame{};
  frame.header =
      FrameHeader{static_cast<uint32_t>(kHeaderSize + size), static_cast<uint8_t>(FrameKind::kMessage), 0, 0, 1, left};
  frame.payload = reinterpret_cast<const uint8_t*>(bytes.data());
  return inbox->PutFrame(frame, true);
}

TEST(InboxQuotaTest, IsExact) {
  Quota quota("bytes", 2 * kStep);
  for (const int64_t over : {-1, 0, 1}) {
    Inbox inbox(-1, kInitialCredit, nullptr, &quota);
    const auto first = static_cast<size_t>(kStep);
    const auto rest = static_cast<size_t>(kStep + kFree + over);
    EXPECT_EQ(Put(&inbox, first, static_cast<uint32_t>(rest)), Inbox::Put::kOk);
    EXPECT_EQ(Put(&inbox, rest), over <= 0 ? Inbox::Put::kOk : Inbox::Put::kTooMuch) << over;
    EXPECT_EQ(inbox.lacking(), over <= 0 ? nullptr : &quota);
  }
  EXPECT_EQ(quota.taken(), 0) << "an inbox that goes gives back what it has";
}

TEST(InboxQuotaTest, IsGivenBackAsMessagesAreTaken) {
  Quota quota("bytes", 10 * kStep);
  Inbox inbox(-1, 10 * kInitialCredit, nullptr, &quota);
  std::string message;
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(Put(&inbox, 30'000), Inbox::Put::kOk);
    EXPECT_GE(quota.taken(), 5 * 30'000 - kFree);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(inbox.TryRead(internal::InMessage(&message)), Inbox::Got::kMessage);
    EXPECT_EQ(inbox.TryRead(internal::InMessage(&message)), Inbox::Got::kTimedOut);
    EXPECT_LE(quota.taken(), kStep);
  }
}

TEST(InboxQuotaTest, LargeMessagesAreGivenBackToo) {
  Quota quota("bytes", 10 * kStep);
  Inbox inbox(-1, 10 * kInitialCredit, nullptr, &quota);
  std::string message;
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(Put(&inbox, 40'000, 40'000), Inbox::Put::kOk);
    EXPECT_EQ(Put(&inbox, 40'000), Inbox::Put::kOk);
    EXPECT_EQ(inbox.TryRead(internal::InMessage(&message)), Inbox::Got::kMessage);
    EXPECT_EQ(message.size(), 80'000u);
    EXPECT_EQ(inbox.TryRead(internal::InMessage(&message)), Inbox::Got::kTimedOut);
    EXPECT_LE(quota.taken(), kStep) << round;
    inbox.TakeGrant();
  }
  EXPECT_EQ(Put(&inbox, 40'000, 40'000), Inbox::Put::kOk);
  inbox.Close(/*drop=*/true);
  EXPECT_LE(quota.taken(), kStep);
}

TEST(InboxQuotaTest, ShortMessagesLeaveItAlone) {
  Quota quota("bytes", 0);
  Inbox inbox(-1, kInitialCredit, nullptr, &quota);
  std::string message;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(Put(&inbox, 10), Inbox::Put::kOk);
    EXPECT_EQ(inbox.TryRead(internal::InMessage(&message)), Inbox::Got::kMessage);
  }
  EXPECT_EQ(quota.taken(), 0);
}

// --- Pings ---

TEST(PingStrikesTest, CountsByTheSecond) {
  PingStrikes strikes;
  int64_t now = 5'000'000'000;
  for (int second = 0; second < 3; ++second) {
    for (int i = 0; i < PingStrikes::kMaxPings; ++i) EXPECT_TRUE(strikes.Allow(now + i));
    now += 1'000'000'000;
  }
  for (int i = 0; i < PingStrikes::kMaxPings; ++i) EXPECT_TRUE(strikes.Allow(now));
  EXPECT_FALSE(strikes.Allow(now + 999'999'999));
}

}  // namespace
}  // namespace nearcall
