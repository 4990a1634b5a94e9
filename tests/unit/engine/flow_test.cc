// Inbox and Credit: what a stream has under way.

#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "runtime/engine/credit.h"
#include "runtime/engine/inbox.h"
#include "runtime/engine/reactor.h"

namespace nearcall {
namespace {

using Put = Inbox::Put;
using Got = Inbox::Got;

TEST(CreditTest, HoldsBackOnceItIsSpent) {
  Credit credit;
  EXPECT_TRUE(credit.available());
  credit.Spend(static_cast<size_t>(kInitialCredit - kMessageOverhead - 1));
  EXPECT_TRUE(credit.available());
  credit.Spend(0);
  EXPECT_FALSE(credit.available());
  EXPECT_TRUE(credit.Grant(static_cast<uint32_t>(kMessageOverhead)));
  EXPECT_TRUE(credit.available());
  credit.Spend(1u << 30);  // one message of any size may go
  EXPECT_FALSE(credit.available());
  credit.Reset();
  EXPECT_TRUE(credit.available());
}

TEST(CreditTest, AbsurdGrantsAreNoticed) {
  Credit credit;
  int grants = 0;
  while (credit.Grant(UINT32_MAX) && grants < 100'000) ++grants;
  EXPECT_LT(grants, 100'000);
}

class InboxTest : public ::testing::Test {
 protected:
  Put PutMessage(Inbox* inbox, const std::string& text) {
    return inbox->PutMessage(reinterpret_cast<const uint8_t*>(text.data()), text.size(), true);
  }
  Put PutPart(Inbox* inbox, const std::string& text, uint32_t left, uint8_t flags = 0) {
    Frame frame{};
    frame.header = FrameHeader{static_cast<uint32_t>(kHeaderSize + text.size()),
                               static_cast<uint8_t>(FrameKind::kMessage), flags, 0, 1, left};
    frame.payload = reinterpret_cast<const uint8_t*>(text.data());
    return inbox->PutFrame(frame, true);
  }
  Got Read(Inbox* inbox, std::string* text, int64_t deadline = 0) {
    return inbox->Read(internal::InMessage(text), &reactor_, deadline, [] { return false; });
  }
  void ExpectMessage(Inbox* inbox, const std::string& expected) {
    std::string text;
    ASSERT_EQ(Read(inbox, &text), Got::kMessage);
    ASSERT_EQ(text, expected);
  }

  Reactor reactor_{Spin::kNever};
};

TEST_F(InboxTest, GivesMessagesInOrder) {
  Inbox inbox(-1, kInitialCredit, nullptr);
  EXPECT_FALSE(inbox.HasMessageOrEnd());
  for (int i = 0; i < 100; ++i) ASSERT_EQ(PutMessage(&inbox, std::string(static_cast<size_t>(i), 'a')), Put::kOk);
  EXPECT_TRUE(inbox.HasMessageOrEnd());
  for (int i = 0; i < 100; ++i) ExpectMessage(&inbox, std::string(static_cast<size_t>(i), 'a'));
  std::string text;
  EXPECT_EQ(Read(&inbox, &text), Got::kTimedOut);
  PutMessage(&inbox, "more");
  inbox.End();
  ExpectMessage(&inbox, "more");
  EXPECT_EQ(Read(&inbox, &text), Got::kEnd);
  EXPECT_EQ(Read(&inbox, &text), Got::kEnd);
}

TEST_F(InboxTest, PutsFragmentsTogether) {
  Inbox inbox(-1, kInitialCredit, nullptr);
  EXPECT_EQ(PutPart(&inbox, "abc", 5), Put::kOk);
  EXPECT_FALSE(inbox.HasMessageOrEnd());
  EXPECT_EQ(PutPart(&inbox, "d", 4), Put::kOk);
  EXPECT_EQ(PutPart(&inbox, "efgh", 0, frame_flags::kEndStream), Put::kOk);
  ExpectMessage(&inbox, "abcdefgh");
  std::string text;
  EXPECT_EQ(Read(&inbox, &text), Got::kEnd);
}

TEST_F(InboxTest, FragmentsThatDoNotFitAreViolations) {
  struct Case {
    uint32_t size, left;
    uint8_t flags;
  };
  for (const Case& bad : {Case{0, 5, 0}, Case{1, 5, 0}, Case{1, 3, 0}, Case{6, 0, 0}, Case{1, 0xffffffff, 0},
                          Case{0, 0, frame_flags::kEndStream | frame_flags::kNoMessage},
                          Case{2, 3, frame_flags::kEndStream}}) {
    Inbox inbox(-1, kInitialCredit, nullptr);
    ASSERT_EQ(PutPart(&inbox, "abc", 5), Put::kOk);
    EXPECT_EQ(PutPart(&inbox, std::string(bad.size, 'x'), bad.left, bad.flags), Put::kViolation)
        << bad.size << ", " << bad.left;
  }
  Inbox inbox(-1, kInitialCredit, nullptr);
  EXPECT_EQ(PutPart(&inbox, "", 5), Put::kViolation) << "an empty first fragment";
  Inbox ended(-1, kInitialCredit, nullptr);
  EXPECT_EQ(PutPart(&ended, "", 0, frame_flags::kEndStream | frame_flags::kNoMessage), Put::kOk);
  EXPECT_EQ(PutPart(&ended, "x", 0), Put::kViolation) << "after the end";
  EXPECT_EQ(PutMessage(&ended, "x"), Put::kViolation) << "after the end";
}

TEST_F(InboxTest, LimitsAreExactAndComeBeforeMemory) {
  Inbox inbox(10, kInitialCredit, nullptr);
  EXPECT_EQ(PutMessage(&inbox, std::string(10, 'x')), Put::kOk);
  EXPECT_EQ(PutMessage(&inbox, std::string(11, 'x')), Put::kTooLarge);
  EXPECT_EQ(PutPart(&inbox, "abc", 7), Put::kOk);
  EXPECT_EQ(PutPart(&inbox, "abcdefg", 0), Put::kOk);
  EXPECT_EQ(PutPart(&inbox, "abc", 8), Put::kTooLarge);
  EXPECT_EQ(PutPart(&inbox, "abc", 0xffffffff), Put::kTooLarge);
  Inbox none(0, kInitialCredit, nullptr);
  EXPECT_EQ(PutMessage(&none, ""), Put::kOk);
  EXPECT_EQ(PutMessage(&none, "x"), Put::kTooLarge);
}

TEST_F(InboxTest, MoreThanWasGrantedIsAViolation) {
  Inbox inbox(-1, kInitialCredit, nullptr);
  int64_t spent = 0;
  const std::string message(1000, 'x');
  for (; spent < kInitialCredit; spent += 1000 + kMessageOverhead) ASSERT_EQ(PutMessage(&inbox, message), Put::kOk);
  EXPECT_EQ(PutMessage(&inbox, message), Put::kViolation);
  Inbox empties(-1, kInitialCredit, nullptr);
  int count = 0;
  while (PutPart(&empties, "", 0) == Put::kOk && count < 100'000) ++count;
  EXPECT_EQ(count, kInitialCredit / kMessageOverhead) << "empty messages cost, too";
}

// What was read is granted anew, in portions that are worth a frame, and exactly as much.
TEST_F(InboxTest, GrantsWhatWasRead) {
  Inbox inbox(-1, kInitialCredit, nullptr);
  Credit credit;
  int64_t under_way = 0, granted = 0, sent = 0;
  for (int i = 0; i < 5000; ++i) {
    const size_t size = static_cast<size_t>(i * 37 % 5000);
    while (!credit.available()) {
      std::string text;
      ASSERT_EQ(Read(&inbox, &text), Got::kMessage);
      under_way -= static_cast<int64_t>(text.size()) + kMessageOverhead;
      if (const uint32_t grant = inbox.TakeGrant()) {
        EXPECT_GE(grant, kInitialCredit / 2);
        granted += grant;
        ASSERT_TRUE(credit.Grant(grant));
      }
    }
    credit.Spend(size);
    ASSERT_EQ(PutMessage(&inbox, std::string(size, 'x')), Put::kOk) << i;
    under_way += static_cast<int64_t>(size) + kMessageOverhead;
    sent += static_cast<int64_t>(size) + kMessageOverhead;
    ASSERT_LE(under_way, kInitialCredit + 5000 + kMessageOverhead);
  }
  EXPECT_LE(granted, sent);
}

TEST_F(InboxTest, CloseKeepsOrDropsWhatIsThere) {
  for (const bool drop : {false, true}) {
    Inbox inbox(-1, kInitialCredit, nullptr);
    PutMessage(&inbox, "small");
    PutPart(&inbox, "abc", 3);
    PutPart(&inbox, "def", 0);
    inbox.Close(drop);
    if (!drop) {
      ExpectMessage(&inbox, "small");
      ExpectMessage(&inbox, "abcdef");
    }
    std::string text;
    EXPECT_EQ(Read(&inbox, &text), Got::kEnd);
    EXPECT_EQ(inbox.TakeGrant(), 0u);
  }
}

// A reader that waits and a poller that delivers, in small steps, with and without the reader being there in time.
TEST_F(InboxTest, AReaderWaitsForItsPoller) {
  constexpr int kCount = 20'000;
  Inbox inbox(-1, kInitialCredit, nullptr);
  Credit credit;
  std::atomic<bool> over{false};
  ASSERT_TRUE(reactor_.TryAcquire());  // somebody else polls: the reader follows
  std::thread reader([&] {
    for (int i = 0; i < kCount; ++i) {
      std::string text;
      ASSERT_EQ(Read(&inbox, &text, kNever), Got::kMessage);
      ASSERT_EQ(text, std::string(static_cast<size_t>(i % 100), static_cast<char>('a' + i % 26)));
      if (const uint32_t grant = inbox.TakeGrant()) credit.Grant(grant);
    }
    std::string text;
    EXPECT_EQ(Read(&inbox, &text, kNever), Got::kEnd);
    over = true;
  });
  for (int i = 0; i < kCount; ++i) {
    while (!credit.available()) std::this_thread::yield();
    credit.Spend(static_cast<size_t>(i % 100));
    ASSERT_EQ(PutMessage(&inbox, std::string(static_cast<size_t>(i % 100), static_cast<char>('a' + i % 26))), Put::kOk);
  }
  inbox.End();
  reader.join();
  EXPECT_TRUE(over);
  reactor_.Release();
}

}  // namespace
}  // namespace nearcall
