#include "runtime/wire/frame.h"

#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace nearcall {
namespace {

using namespace frame_flags;  // NOLINT: the tables below read better without the prefix

FrameHeader Header(FrameKind kind, uint32_t payload = 0, uint32_t call = 0, uint32_t extra = 0, uint8_t flags = 0,
                   uint16_t detail = 0) {
  return FrameHeader{
      static_cast<uint32_t>(kHeaderSize) + payload, static_cast<uint8_t>(kind), flags, detail, call, extra};
}

FrameError Check(const FrameHeader& header, uint32_t max_size = kMaxFrameSize) {
  return ValidateHeader(header, max_size);
}

// What the specification says of each kind; written down a second time on purpose. An array, for the loops below go
// over it a hundred million times, and a vector's iterators are calls where nothing is optimised.
struct Rule {
  FrameKind kind;
  uint8_t flags;
  bool of_call;
  bool has_head;
  uint32_t max_detail;
  bool has_payload;
};
constexpr Rule kRules[] = {
    {FrameKind::kHello, 0, false, false, 0, true},
    {FrameKind::kWelcome, 0, false, false, 0, true},
    {FrameKind::kRequest, kHasMessage | kHasTimeout | kEndStream | kStream, true, true, 4095, true},
    {FrameKind::kMessage, kEndStream | kNoMessage, true, false, 0, true},
    {FrameKind::kHeaders, 0, true, true, 0, true},
    {FrameKind::kResponse, kHasMessage | kNotSeen, true, true, 16, true},
    {FrameKind::kCancel, 0, true, false, 0, false},
    {FrameKind::kCredit, 0, true, false, 0, false},
    {FrameKind::kGoAway, 0, false, false, 0, false},
    {FrameKind::kPing, 0, false, false, 0, true},
    {FrameKind::kPong, 0, false, false, 0, true},
    {FrameKind::kAttachment, kDescriptor, true, false, 2, true},
    {FrameKind::kRelease, 0, false, false, 1, false},
    {FrameKind::kForget, 0, false, false, 0, false},
    {FrameKind::kFdPassing, 0, false, false, 1, false},
};

// Whether a header follows the rules, said in another way than ValidateHeader says it.
bool IsSane(const FrameHeader& h, uint32_t max_size) {
  if (h.size < 16 || h.size > max_size) return false;
  const uint64_t payload = h.size - 16;
  for (const Rule& rule : kRules) {
    if (static_cast<uint8_t>(rule.kind) != h.kind) continue;
    bool sane = (h.flags | rule.flags) == rule.flags && rule.of_call == (h.call != 0) && h.detail <= rule.max_detail;
    if (!rule.has_payload) sane = sane && payload == 0;
    if (rule.has_head) {
      const uint64_t before = uint64_t{h.extra} + ((h.flags & kHasTimeout) ? 8 : 0);
      sane = sane && h.extra <= 8192 && ((h.flags & kHasMessage) ? before <= payload : before == payload);
    }
    if (rule.kind == FrameKind::kMessage && (h.flags & kNoMessage)) {
      sane = sane && payload == 0 && h.extra == 0 && (h.flags & kEndStream);
    }
    return sane;
  }
  return false;
}

// One good header of every shape that the engine sends.
std::vector<FrameHeader> GoodHeaders() {
  std::vector<FrameHeader> good = {
      Header(FrameKind::kHello, 30, 0, kMagic),
      Header(FrameKind::kWelcome, 30, 0, kMagic),
      Header(FrameKind::kRequest, 0, 0x10001, 0, 0, 5),
      Header(FrameKind::kRequest, 100, 0x10001, 0, kHasMessage | kEndStream, 5),
      Header(FrameKind::kRequest, 60, 0x10001, 52, kHasTimeout | kStream, 5),
      Header(FrameKind::kRequest, 8192, 0x10001, 8192, kStream, 4095),
      Header(FrameKind::kMessage, 100, 0x10001, 0),
      Header(FrameKind::kMessage, 100, 0x10001, 1u << 30),
      Header(FrameKind::kMessage, 100, 0x10001, 0, kEndStream),
      Header(FrameKind::kMessage, 0, 0x10001, 0, kEndStream | kNoMessage),
      Header(FrameKind::kHeaders, 40, 0x10001, 40),
      Header(FrameKind::kResponse, 100, 0x10001, 0, kHasMessage),
      Header(FrameKind::kResponse, 40, 0x10001, 40, kNotSeen, 14),
      Header(FrameKind::kResponse, 0, 0x10001, 0, 0, 16),
      Header(FrameKind::kCancel, 0, 0x10001),
      Header(FrameKind::kCredit, 0, 0x10001, 40'000),
      Header(FrameKind::kGoAway),
      Header(FrameKind::kPing, 8),
      Header(FrameKind::kPong, 8),
      Header(FrameKind::kAttachment, 100, 0x10001, 70'000),
      Header(FrameKind::kAttachment, 8, 0x10001, 255, kDescriptor, 1),
      Header(FrameKind::kAttachment, 0, 0x10001, 0, kDescriptor, 2),
      Header(FrameKind::kRelease, 0, 0, 255, 0, 1),
      Header(FrameKind::kForget, 0, 0, 255),
      Header(FrameKind::kFdPassing),
      Header(FrameKind::kFdPassing, 0, 0, 0, 0, 1),
  };
  return good;
}

TEST(FrameHeader, WhatTheEngineSendsIsGood) {
  for (const FrameHeader& header : GoodHeaders()) {
    EXPECT_EQ(Check(header), FrameError::kNone) << "kind " << int{header.kind} << ": " << FrameErrorText(Check(header));
    EXPECT_TRUE(IsSane(header, kMaxFrameSize));
  }
}

// Every kind with every combination of flags, with and without a call, with and without a payload.
TEST(FrameHeader, EveryKindTakesItsOwnFlagsOnly) {
  for (int kind = 0; kind < 256; ++kind) {
    for (int flags = 0; flags < 256; ++flags) {
      for (const uint32_t call : {0u, 1u, 0xffffffffu}) {
        for (const uint32_t payload : {0u, 1u, 8u, 100u}) {
          for (const uint32_t extra : {0u, 1u, 8u, 92u, 100u}) {
            const FrameHeader header{16 + payload, static_cast<uint8_t>(kind), static_cast<uint8_t>(flags), 0, call,
                                     extra};
            ASSERT_EQ(Check(header) == FrameError::kNone, IsSane(header, kMaxFrameSize))
                << kind << " flags " << flags << " call " << call << " payload " << payload << " extra " << extra;
          }
        }
      }
    }
  }
}

TEST(FrameHeader, SizesAreBounded) {
  FrameHeader header = Header(FrameKind::kPing);
  for (const uint32_t size : {0u, 1u, 15u}) {
    header.size = size;
    EXPECT_EQ(Check(header), FrameError::kSizeTooSmall) << size;
  }
  for (const uint32_t max_size : {16u, 17u, 4096u, 65536u}) {
    header.size = max_size;
    EXPECT_EQ(Check(header, max_size), FrameError::kNone) << max_size;
    header.size = max_size + 1;
    EXPECT_EQ(Check(header, max_size), FrameError::kSizeTooLarge) << max_size;
  }
  for (const uint32_t size : {0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xffffffffu}) {
    header.size = size;
    EXPECT_EQ(Check(header), FrameError::kSizeTooLarge) << size;
  }
}

TEST(FrameHeader, KindsAreBounded) {
  for (int kind = 0; kind < 256; ++kind) {
    FrameHeader header = Header(FrameKind::kPing);
    header.kind = static_cast<uint8_t>(kind);
    EXPECT_EQ(Check(header) == FrameError::kUnknownKind, kind == 0 || kind > kLastFrameKind) << kind;
  }
}

TEST(FrameHeader, DetailsAreBounded) {
  for (const Rule& rule : kRules) {
    for (uint32_t detail = 0; detail <= 0xffff; ++detail) {
      FrameHeader header = Header(rule.kind, 0, rule.of_call ? 1 : 0, 0, 0, static_cast<uint16_t>(detail));
      ASSERT_EQ(Check(header) == FrameError::kNone, detail <= rule.max_detail) << detail;
    }
  }
}

TEST(FrameHeader, HeadsAreBounded) {
  for (const FrameKind kind : {FrameKind::kRequest, FrameKind::kHeaders, FrameKind::kResponse}) {
    EXPECT_EQ(Check(Header(kind, 8192, 1, 8192)), FrameError::kNone);
    EXPECT_EQ(Check(Header(kind, 8193, 1, 8193)), FrameError::kBadHead);
    EXPECT_EQ(Check(Header(kind, 10, 1, 11)), FrameError::kBadHead);
    EXPECT_EQ(Check(Header(kind, 10, 1, 9)), FrameError::kBadHead);  // what is the tenth byte?
    EXPECT_EQ(Check(Header(kind, 10, 1, 0xffffffff)), FrameError::kBadHead);
    EXPECT_EQ(Check(Header(kind, 10, 1, 0xfffffff8)), FrameError::kBadHead);
  }
  // Sums that would wrap in 32 bits.
  EXPECT_EQ(Check(Header(FrameKind::kRequest, 0, 1, 0xfffffff8, kHasTimeout)), FrameError::kBadHead);
  EXPECT_EQ(Check(Header(FrameKind::kRequest, 7, 1, 0, kHasTimeout)), FrameError::kBadHead);
  EXPECT_EQ(Check(Header(FrameKind::kRequest, 8, 1, 0, kHasTimeout)), FrameError::kNone);
  EXPECT_EQ(Check(Header(FrameKind::kRequest, 9, 1, 0, kHasTimeout)), FrameError::kBadHead);
  EXPECT_EQ(Check(Header(FrameKind::kRequest, 9, 1, 0, kHasTimeout | kHasMessage)), FrameError::kNone);
  EXPECT_EQ(Check(Header(FrameKind::kRequest, 9, 1, 2, kHasTimeout | kHasMessage)), FrameError::kBadHead);
}

// A header that was hit by noise is refused, or is a good header by itself: never something in between.
TEST(FrameHeader, OneAndTwoFlippedBitsGiveNoNonsense) {
  int accepted = 0, tried = 0;
  for (const FrameHeader& good : GoodHeaders()) {
    for (int one = 0; one < 128; ++one) {
      for (int two = one; two < 128; ++two) {
        uint8_t bytes[kHeaderSize];
        std::memcpy(bytes, &good, sizeof bytes);
        bytes[one / 8] ^= static_cast<uint8_t>(1 << (one % 8));
        if (two != one) bytes[two / 8] ^= static_cast<uint8_t>(1 << (two % 8));
        const FrameHeader header = LoadHeader(bytes);
        const bool ok = Check(header) == FrameError::kNone;
        ASSERT_EQ(ok, IsSane(header, kMaxFrameSize)) << "kind " << int{good.kind} << " bits " << one << ", " << two;
        accepted += ok;
        ++tried;
      }
    }
  }
  EXPECT_LT(accepted, tried);
}

TEST(FrameHeader, RandomHeadersGiveNoNonsense) {
  std::mt19937 generator(1);
  const auto random = [&generator] { return static_cast<uint32_t>(generator()); };
  for (int i = 0; i < 2'000'000; ++i) {
    FrameHeader header{random(),
                       static_cast<uint8_t>(random() % 16),
                       static_cast<uint8_t>(random()),
                       static_cast<uint16_t>(random()),
                       random(),
                       random()};
    // Of plain randomness almost nothing would get past the first check.
    if (random() % 8 != 0) header.size = 16 + random() % 200;
    if (random() % 2 != 0) header.flags &= static_cast<uint8_t>(random());
    if (random() % 2 != 0) header.flags &= static_cast<uint8_t>(random() & random());
    if (random() % 2 != 0) header.detail %= 20;
    if (random() % 2 != 0) header.call = random() % 2;
    if (random() % 2 != 0) header.extra = random() % 200;
    if (random() % 4 == 0) header.extra = header.size - 16;
    ASSERT_EQ(Check(header) == FrameError::kNone, IsSane(header, kMaxFrameSize));
  }
}

TEST(FrameHeader, EveryErrorHasAText) {
  for (int error = 0; error <= static_cast<int>(FrameError::kBadDetail); ++error) {
    EXPECT_STRNE(FrameErrorText(static_cast<FrameError>(error)), "an unknown frame error");
  }
}

}  // namespace
}  // namespace nearcall
