// Buffers that one side of a connection lends to the other: LentBuffers, and BorrowedBuffers.

#include <fcntl.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "runtime/engine/borrowed_buffers.h"
#include "runtime/engine/lent_buffers.h"

namespace nearcall {
namespace {

constexpr size_t kSize = 10'000;

// What the peer is told: "release 3", "refuse 3", "forget 3".
struct Notices final : BufferNotices {
  void SendNotice(FrameKind kind, uint32_t buffer, uint16_t detail) override {
    const char* const what = kind == FrameKind::kForget ? "forget " : detail != 0 ? "refuse " : "release ";
    said.push_back(absl::StrCat(what, buffer));
  }
  std::vector<std::string> said;
};
using Said = std::vector<std::string>;

std::shared_ptr<OwnMemory> MemoryOf(const Buffer& buffer) {
  return std::static_pointer_cast<OwnMemory>(internal::BufferAccess::memory(buffer));
}

class LentBuffersTest : public ::testing::Test {
 protected:
  ~LentBuffersTest() override { lent_->Close(); }
  Buffer Allocate(size_t size = kSize) { return *lent_->Allocate(size); }
  // A loan that the peer hears of.
  LentBuffers::Loan Lend(const Buffer& buffer) {
    const LentBuffers::Loan loan = *lent_->Lend(MemoryOf(buffer));
    lent_->Sent(loan);
    return loan;
  }

  Notices notices_;
  const std::shared_ptr<LentBuffers> lent_ = std::make_shared<LentBuffers>(&notices_);
};

TEST_F(LentBuffersTest, TheDescriptorGoesAlongUntilOneWasSent) {
  const Buffer buffer = Allocate();
  const LentBuffers::Loan first = *lent_->Lend(MemoryOf(buffer));
  const LentBuffers::Loan second = *lent_->Lend(MemoryOf(buffer));
  EXPECT_TRUE(first.is_new && second.is_new);
  lent_->NotSent(first);
  EXPECT_TRUE(lent_->Lend(MemoryOf(buffer))->is_new);
  lent_->Sent(second);
  EXPECT_FALSE(lent_->Lend(MemoryOf(buffer))->is_new);
  EXPECT_EQ(first.buffer, second.buffer);
  EXPECT_NE(lent_->Lend(MemoryOf(Allocate()))->buffer, first.buffer);
}

TEST_F(LentBuffersTest, MemoryIsUsedAgainWhenBothSidesAreDone) {
  Buffer buffer = Allocate();
  const uint8_t* const data = buffer.data();
  const uint32_t number = Lend(buffer).buffer;
  Lend(buffer);
  EXPECT_NE(Allocate().data(), data) << "we have a handle";
  buffer = Buffer();
  EXPECT_NE(Allocate().data(), data) << "two loans are open";
  EXPECT_TRUE(lent_->Release(number, false));
  EXPECT_NE(Allocate().data(), data) << "one loan is open";
  EXPECT_TRUE(lent_->Release(number, false));
  EXPECT_NE(Allocate(kSize * 20).data(), data) << "it is too small";
  EXPECT_NE(Allocate(kSize / 5).data(), data) << "it is much too large";
  buffer = Allocate();
  EXPECT_EQ(buffer.data(), data);
  EXPECT_EQ(buffer.size(), kSize);
  const LentBuffers::Loan again = Lend(buffer);
  EXPECT_EQ(again.buffer, number);
  EXPECT_FALSE(again.is_new);
  EXPECT_EQ(notices_.said, Said());
}

// Its first peer can still look at it.
TEST_F(LentBuffersTest, MemoryThatTwoPeersSeeIsNotUsedAgain) {
  Notices other_notices;
  const auto other = std::make_shared<LentBuffers>(&other_notices);
  {
    const Buffer buffer = Allocate();
    const LentBuffers::Loan loan = Lend(buffer);
    const LentBuffers::Loan other_loan = *other->Lend(MemoryOf(buffer));
    EXPECT_TRUE(other_loan.is_new);
    other->Sent(other_loan);
    EXPECT_TRUE(lent_->Release(loan.buffer, false));
    EXPECT_TRUE(other->Release(other_loan.buffer, false));
  }
  EXPECT_EQ(notices_.said, Said{"forget 0"});
  EXPECT_EQ(other_notices.said, Said{"forget 0"});
  other->Close();
}

TEST_F(LentBuffersTest, NotMuchIdleMemoryIsKept) {
  {
    std::vector<Buffer> buffers;
    for (int i = 0; i < 3; ++i) {
      buffers.push_back(Allocate(50 << 20));
      EXPECT_TRUE(lent_->Release(Lend(buffers.back()).buffer, false));
    }
    EXPECT_EQ(notices_.said, Said());
  }
  EXPECT_EQ(notices_.said.size(), 1u) << "128 MiB stay";
}

TEST_F(LentBuffersTest, NumbersRunOut) {
  std::vector<Buffer> buffers;
  for (uint32_t i = 0; i < kMaxBuffers; ++i) {
    buffers.push_back(Allocate(1));
    EXPECT_EQ(Lend(buffers.back()).buffer, i);
  }
  const Buffer one_more = Allocate(1);
  EXPECT_FALSE(lent_->Lend(MemoryOf(one_more)).has_value());
  EXPECT_FALSE(Lend(buffers[7]).is_new) << "what has a number keeps it";
}

TEST_F(LentBuffersTest, OnlyLoansCanBeReleased) {
  EXPECT_FALSE(lent_->Release(0, false));
  EXPECT_FALSE(lent_->Release(UINT32_MAX, false));
  const Buffer buffer = Allocate();
  const uint32_t number = Lend(buffer).buffer;
  EXPECT_TRUE(lent_->Release(number, false));
  EXPECT_FALSE(lent_->Release(number, false));
}

TEST_F(LentBuffersTest, ARefusedLoanBringsTheDescriptorAgain) {
  const Buffer buffer = Allocate();
  EXPECT_TRUE(lent_->Release(Lend(buffer).buffer, /*refused=*/true));
  EXPECT_TRUE(Lend(buffer).is_new);
}

TEST_F(LentBuffersTest, HandlesOutliveTheConnection) {
  Buffer buffer = Allocate();
  const LentBuffers::Loan loan = Lend(buffer);
  lent_->Close();
  lent_->Sent(loan);
  lent_->NotSent(loan);
  EXPECT_FALSE(lent_->Release(loan.buffer, false));
  buffer.mutable_data()[0] = 1;
  buffer = Buffer();
  EXPECT_EQ(notices_.said, Said());
}

// --- The other side ---

class BorrowedBuffersTest : public ::testing::Test {
 protected:
  static Fd Memory(size_t size = kSize) { return Fd(fcntl((*SharedMemory::Create(size))->fd(), F_DUPFD_CLOEXEC, 0)); }
  // What a loan comes to: OK, RESOURCE_EXHAUSTED, or ABORTED for a violation.
  absl::StatusCode Borrow(uint32_t number, size_t size, Buffer* out) {
    absl::Status error;
    if (!borrowed_.Borrow(number, size, out, &error)) return absl::StatusCode::kAborted;
    return error.code();
  }

  static constexpr int64_t kLimit = 3 * 12'288;
  Notices notices_;
  BorrowedBuffers borrowed_{kLimit, "the_limit", &notices_};
  Buffer buffer_;
};

TEST_F(BorrowedBuffersTest, ALoanEndsWithItsLastHandle) {
  ASSERT_TRUE(borrowed_.Adopt(5, Memory()));
  ASSERT_EQ(Borrow(5, kSize, &buffer_), absl::StatusCode::kOk);
  EXPECT_EQ(buffer_.size(), kSize);
  EXPECT_EQ(buffer_.mutable_data(), nullptr);
  EXPECT_EQ(buffer_.data()[kSize - 1], 0);
  const Buffer copy = buffer_;
  EXPECT_FALSE(borrowed_.Forget(5)) << "it is in use";
  buffer_ = Buffer();
  EXPECT_EQ(notices_.said, Said());
  ASSERT_EQ(Borrow(5, 1, &buffer_), absl::StatusCode::kOk);
  buffer_ = Buffer();
  EXPECT_EQ(notices_.said, Said{"release 5"}) << "a loan of its own";
}

TEST_F(BorrowedBuffersTest, WhatIsForgottenIsGone) {
  EXPECT_FALSE(borrowed_.Forget(0));
  ASSERT_TRUE(borrowed_.Adopt(0, Memory()));
  EXPECT_TRUE(borrowed_.Forget(0));
  EXPECT_FALSE(borrowed_.Forget(0));
  EXPECT_EQ(Borrow(0, 1, &buffer_), absl::StatusCode::kAborted);
}

TEST_F(BorrowedBuffersTest, WhatThePeerSaysIsChecked) {
  EXPECT_EQ(Borrow(0, 1, &buffer_), absl::StatusCode::kAborted) << "it was never brought";
  EXPECT_FALSE(borrowed_.Adopt(kMaxBuffers, Memory()));
  EXPECT_FALSE(borrowed_.Forget(kMaxBuffers));
  EXPECT_FALSE(borrowed_.Lost(kMaxBuffers));
  EXPECT_EQ(Borrow(kMaxBuffers, 1, &buffer_), absl::StatusCode::kAborted);
  EXPECT_FALSE(borrowed_.Adopt(0, Fd(open("/dev/null", O_RDONLY | O_CLOEXEC))));
  ASSERT_TRUE(borrowed_.Adopt(1, Memory(4096)));
  EXPECT_EQ(Borrow(1, 4096, &buffer_), absl::StatusCode::kOk);
  EXPECT_EQ(Borrow(1, 4097, &buffer_), absl::StatusCode::kAborted);
}

TEST_F(BorrowedBuffersTest, WhatIsMappedHasALimit) {
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(borrowed_.Adopt(i, Memory()));
    EXPECT_EQ(Borrow(i, kSize, &buffer_), absl::StatusCode::kOk);
  }
  buffer_ = Buffer();
  notices_.said.clear();
  ASSERT_TRUE(borrowed_.Adopt(3, Memory()));
  EXPECT_EQ(Borrow(3, kSize, &buffer_), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(notices_.said, Said{"refuse 3"});
  // With room again, and the descriptor again, it can be had.
  EXPECT_TRUE(borrowed_.Forget(1));
  EXPECT_EQ(Borrow(3, kSize, &buffer_), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(borrowed_.Adopt(3, Memory()));
  EXPECT_EQ(Borrow(3, kSize, &buffer_), absl::StatusCode::kOk);
}

TEST_F(BorrowedBuffersTest, ADescriptorThatWasLostMayComeAgain) {
  ASSERT_TRUE(borrowed_.Lost(2));
  EXPECT_EQ(Borrow(2, 1, &buffer_), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(notices_.said, Said{"refuse 2"});
  ASSERT_TRUE(borrowed_.Adopt(2, Memory()));
  EXPECT_EQ(Borrow(2, 1, &buffer_), absl::StatusCode::kOk);
}

TEST_F(BorrowedBuffersTest, HandlesOutliveTheConnection) {
  {
    BorrowedBuffers connection(-1, "no_limit", &notices_);
    ASSERT_TRUE(connection.Adopt(0, Memory()));
    absl::Status error;
    ASSERT_TRUE(connection.Borrow(0, kSize, &buffer_, &error));
    connection.Close();
  }
  EXPECT_EQ(buffer_.data()[kSize - 1], 0);
  buffer_ = Buffer();
  EXPECT_EQ(notices_.said, Said());
}

}  // namespace
}  // namespace nearcall
