#include "runtime/transports/shm/shm_wire.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/watchdog.h"

namespace nearcall {
namespace {

constexpr size_t kRing = Segment::kMinRing;
constexpr uint64_t kLine = 64;
constexpr uint32_t kMaxFrame = kRing / 2 - kLine;

// What a frame takes of the ring.
uint64_t Stride(uint64_t size) { return (size + kLine - 1) / kLine * kLine; }

Fd DupOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// What one side has before it is a Wire.
struct Side {
  explicit Side(size_t bulk = 0) : own(*Segment::Create(kRing, bulk)), doorbell(*Doorbell::Create()) {}
  Segment own;
  Doorbell doorbell;
  Fd socket;
};

void Connect(Side* one, Side* two) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  one->socket.reset(ends[0]);
  two->socket.reset(ends[1]);
}

std::unique_ptr<ShmWire> MakeWire(Side* side, const Segment& peer, const Doorbell& peer_bell) {
  return std::make_unique<ShmWire>(ShmWire::Parts{std::move(side->socket), std::move(side->own),
                                                  *Segment::Open(DupOf(peer.fd())), std::move(side->doorbell),
                                                  *Ringer::Open(DupOf(peer_bell.ringer_fd())), true, "the peer"});
}

// Two Wires that are connected.
struct Pair {
  explicit Pair(size_t bulk = 0) {
    Side a(bulk), b(bulk);
    Connect(&a, &b);
    Segment a_seen = *Segment::Open(DupOf(a.own.fd()));
    absl::StatusOr<Ringer> a_ringer = Ringer::Open(DupOf(a.doorbell.ringer_fd()));
    a_control = a.own.control();
    one = MakeWire(&a, b.own, b.doorbell);
    two = std::make_unique<ShmWire>(ShmWire::Parts{std::move(b.socket), std::move(b.own), std::move(a_seen),
                                                   std::move(b.doorbell), *std::move(a_ringer), true, "the peer"});
  }
  std::unique_ptr<ShmWire> one, two;
  SegmentControl* a_control;
};

// A Wire whose peer is this test: it writes into the peer's memory what it likes.
struct Victim {
  explicit Victim(size_t bulk = 0) : hostile(bulk) {
    Side good(bulk);
    Connect(&good, &hostile);
    seen = std::make_unique<Segment>(*Segment::Open(DupOf(good.own.fd())));
    wire = MakeWire(&good, hostile.own, hostile.doorbell);
  }
  // Puts a header where the Wire will look first.
  void Forge(const FrameHeader& header) { std::memcpy(hostile.own.ring(), &header, sizeof header); }
  Received Receive() {
    Frame frame{};
    return wire->Receive(&frame);
  }

  Side hostile;
  std::unique_ptr<Segment> seen;  // the Wire's own memory
  std::unique_ptr<ShmWire> wire;
};

FrameHeader Ping(uint32_t size) { return FrameHeader{size, static_cast<uint8_t>(FrameKind::kPing), 0, 0, 0, 0}; }

// Sends a frame of `size` bytes that is full of `seed`; false when there is no room.
bool Send(ShmWire* wire, uint32_t size, uint8_t seed) {
  uint8_t* const room = wire->Claim(size);
  if (room == nullptr) return false;
  EXPECT_EQ(reinterpret_cast<uintptr_t>(room) % 64, 0u);
  const FrameHeader header = Ping(0);
  std::memcpy(room + 4, reinterpret_cast<const uint8_t*>(&header) + 4, sizeof header - 4);
  std::memset(room + kHeaderSize, seed, size - kHeaderSize);
  wire->Commit(size);
  wire->Flush();
  return true;
}

// By memcmp, for megabytes go by, and what goes from byte to byte takes minutes under a sanitizer.
bool IsFullOf(uint8_t byte, const uint8_t* data, size_t size) {
  return size == 0 || (data[0] == byte && std::memcmp(data, data + 1, size - 1) == 0);
}

void ExpectFrame(ShmWire* wire, uint32_t size, uint8_t seed) {
  Frame frame{};
  ASSERT_EQ(wire->Receive(&frame), Received::kFrame) << size;
  ASSERT_EQ(frame.header.size, size);
  ASSERT_EQ(frame.header.kind, static_cast<uint8_t>(FrameKind::kPing));
  ASSERT_TRUE(IsFullOf(seed, frame.payload, frame.payload_size()));
  wire->Release();
}

void ExpectNothing(ShmWire* wire) {
  Frame frame{};
  ASSERT_EQ(wire->Receive(&frame), Received::kNothing);
}

// Has the other side send a frame: what `pair.one` sends next is part of a conversation, where it clears ahead.
void Answer(Pair* pair) {
  ASSERT_TRUE(Send(pair->two.get(), kHeaderSize, 0));
  ASSERT_NO_FATAL_FAILURE(ExpectFrame(pair->one.get(), kHeaderSize, 0));
}

bool Readable(int fd) {
  pollfd poll_fd{fd, POLLIN, 0};
  return poll(&poll_fd, 1, 0) == 1;
}
int DoorbellOf(const ShmWire& wire) {
  WatchedFd fds[kMaxWatchedFds];
  EXPECT_EQ(wire.watched_fds(fds), 2);
  return fds[0].fd;
}
void Silence(int fd) {
  char bytes[64];
  while (read(fd, bytes, sizeof bytes) > 0) {
  }
}

TEST(ShmWireTest, CarriesFramesOfEverySize) {
  Pair pair;
  EXPECT_EQ(pair.one->max_frame_size(), kMaxFrame);
  ExpectNothing(pair.two.get());
  uint8_t seed = 0;
  for (uint32_t size = kHeaderSize; size <= kMaxFrame; size += size < 200 ? 1 : 61) {
    ASSERT_TRUE(Send(pair.one.get(), size, ++seed));
    ExpectFrame(pair.two.get(), size, seed);
    ExpectNothing(pair.two.get());
    ASSERT_TRUE(Send(pair.two.get(), size, ++seed));  // the other way, too
    ExpectFrame(pair.one.get(), size, seed);
  }
}

// Wherever in the ring the reader and the writer stand, a frame of the largest size fits when all is read.
TEST(ShmWireTest, TakesTheLargestFrameAtEveryPosition) {
  Pair pair;
  for (uint64_t position = 0; position < kRing; position += kLine) {
    while (pair.one->sent_bytes() % kRing != position) {
      const uint64_t distance = (position + kRing - pair.one->sent_bytes() % kRing) % kRing;
      const auto size = static_cast<uint32_t>(distance <= kMaxFrame ? distance : 1000);
      ASSERT_TRUE(Send(pair.one.get(), size, 1));
      ExpectFrame(pair.two.get(), size, 1);
    }
    ASSERT_TRUE(Send(pair.one.get(), kMaxFrame, 2)) << position;
    ExpectFrame(pair.two.get(), kMaxFrame, 2);
  }
}

TEST(ShmWireTest, IsFullBeforeItOverwrites) {
  Pair pair;
  for (uint32_t size : {16u, 17u, 24u, 100u, 1000u, kMaxFrame}) {
    int sent = 0;
    while (Send(pair.one.get(), size, static_cast<uint8_t>(sent))) ++sent;
    EXPECT_GE(sent, 1) << size;
    EXPECT_LE(static_cast<size_t>(sent) * size, kRing);
    EXPECT_GE(static_cast<size_t>(sent) * Stride(size) + Stride(size) + 8, kRing - kRing / 2) << size;
    EXPECT_EQ(pair.one->Claim(size), nullptr);
    for (int i = 0; i < sent; ++i) ExpectFrame(pair.two.get(), size, static_cast<uint8_t>(i));
    ExpectNothing(pair.two.get());
    EXPECT_NE(pair.one->Claim(size), nullptr);
  }
}

// A claim that is not committed is not seen, and is the same the second time.
TEST(ShmWireTest, ShowsNothingBeforeCommit) {
  Pair pair;
  uint8_t* const room = pair.one->Claim(100);
  ASSERT_NE(room, nullptr);
  std::memset(room + 4, 0xff, 96);
  ExpectNothing(pair.two.get());
  EXPECT_EQ(pair.one->Claim(50), room);
  ASSERT_TRUE(Send(pair.one.get(), 60, 7));
  ExpectFrame(pair.two.get(), 60, 7);
  ExpectNothing(pair.two.get());
}

// Nor is what was written into one seen behind a smaller frame, where it lies in what was cleared ahead.
TEST(ShmWireTest, WhatWasNotCommittedIsNoFrame) {
  Pair pair;
  for (uint32_t size = kHeaderSize; size <= 400; ++size) {
    std::memset(pair.one->Claim(400) + 4, 0xff, 396);
    ASSERT_TRUE(Send(pair.one.get(), size, 7));
    ExpectFrame(pair.two.get(), size, 7);
    ExpectNothing(pair.two.get());
    ASSERT_NO_FATAL_FAILURE(Answer(&pair));
  }
}

// The writer clears ahead of itself, but nothing that is still to be read: wherever it stops for lack of room.
TEST(ShmWireTest, ClearsNothingThatIsUnread) {
  Pair pair;
  std::mt19937 random(11);
  std::deque<std::pair<uint32_t, uint8_t>> unread;
  uint8_t seed = 0;
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t size = kHeaderSize + random() % 300;
    if (Send(pair.one.get(), size, ++seed)) {
      unread.emplace_back(size, seed);
      ASSERT_NO_FATAL_FAILURE(Answer(&pair));
      continue;
    }
    for (int read = 0; read < 1 + i % 5; ++read) {
      ASSERT_NO_FATAL_FAILURE(ExpectFrame(pair.two.get(), unread.front().first, unread.front().second)) << i;
      unread.pop_front();
    }
  }
}

// How often of 1,000 times the next frame of `size` bytes finds its place cleared, and the word behind it. `in_turns`:
// the peer sends a frame after each.
int FramesThatFindTheirPlaceCleared(size_t size, bool in_turns) {
  Victim victim;
  uint64_t tail = 0, answers = 0;
  int ready = 0;
  for (int i = 0; i < 1000; ++i) {
    std::memset(victim.wire->Claim(size) + 4, 0xff, size - 4);
    victim.wire->Commit(size);
    victim.wire->Flush();
    tail += Stride(size);
    victim.hostile.own.control()->read_position.store(tail);
    if (IsFullOf(0, victim.seen->ring() + tail % kRing, Stride(size) + 8)) ++ready;
    if (!in_turns) continue;
    const FrameHeader answer = Ping(kHeaderSize);
    std::memcpy(victim.hostile.own.ring() + answers % kRing, &answer, sizeof answer);
    answers += Stride(kHeaderSize);
    std::memset(victim.hostile.own.ring() + answers % kRing, 0, 8);
    EXPECT_EQ(victim.Receive(), Received::kFrame);
    victim.wire->Release();
  }
  return ready;
}

// Where the two sides take turns, what the next frame needs is cleared already when it comes, but for where the writer
// would have to look first how far the reader is. Who sends one frame after the other does not clear each line twice.
TEST(ShmWireTest, ClearsAheadInAConversation) {
  EXPECT_GT(FramesThatFindTheirPlaceCleared(80, /*in_turns=*/true), 900);
  EXPECT_GT(FramesThatFindTheirPlaceCleared(1000, /*in_turns=*/true), 800);
  EXPECT_LT(FramesThatFindTheirPlaceCleared(80, /*in_turns=*/false), 300);  // of the first lap, which begins with zeros
}

// Behind each frame is a word that says "no frame", whatever lay there before.
TEST(ShmWireTest, ClearsTheWordBehindEachFrame) {
  Victim victim;  // its memory is seen from outside
  std::mt19937 random(3);
  uint64_t tail = 0;
  for (int i = 0; i < 3000; ++i) {
    const uint32_t size = kHeaderSize + random() % 500;
    ASSERT_TRUE(Send(victim.wire.get(), size, 0xff));
    uint32_t word;
    std::memcpy(&word, victim.seen->ring() + tail % kRing, sizeof word);
    EXPECT_EQ(word, size);
    tail += Stride(size);
    std::memcpy(&word, victim.seen->ring() + tail % kRing, sizeof word);
    ASSERT_EQ(word, 0u) << i;
    victim.hostile.own.control()->read_position.store(tail);
  }
}

TEST(ShmWireTest, HostileSizesCloseTheConnection) {
  for (const uint32_t size :
       {1u, 2u, 15u, kMaxFrame + 1, 65536u, 65537u, 0x7fffffffu, 0x80000000u, 0xfffffff0u, 0xfffffff8u, 0xffffffffu}) {
    Victim victim;
    victim.Forge(Ping(size));
    EXPECT_EQ(victim.Receive(), Received::kClosed) << size;
    EXPECT_EQ(victim.wire->status().code(), absl::StatusCode::kInternal) << victim.wire->status();
    EXPECT_EQ(victim.Receive(), Received::kClosed) << size;
  }
}

TEST(ShmWireTest, HostileHeadersCloseTheConnection) {
  std::mt19937 generator(4);
  const auto random = [&] { return static_cast<uint32_t>(generator()); };
  for (int i = 0; i < 300; ++i) {
    Victim victim;
    FrameHeader header{static_cast<uint32_t>(1 + random() % 10'000),
                       static_cast<uint8_t>(random() % 14),
                       static_cast<uint8_t>(random()),
                       static_cast<uint16_t>(random()),
                       random() % 3,
                       random()};
    victim.Forge(header);
    const bool good = ValidateHeader(header, kMaxFrame) == FrameError::kNone;
    EXPECT_EQ(victim.Receive(), good ? Received::kFrame : Received::kClosed);
  }
}

// A size that changes after it was looked at changes nothing.
TEST(ShmWireTest, SizesAreLookedAtOnce) {
  Victim victim;
  victim.Forge(Ping(64));
  Frame frame{};
  ASSERT_EQ(victim.wire->Receive(&frame), Received::kFrame);
  for (const uint32_t size : {0u, 16u, 0xffffffffu}) {
    victim.Forge(Ping(size));
    EXPECT_EQ(frame.header.size, 64u);
    EXPECT_EQ(frame.payload_size(), 48u);
  }
  victim.wire->Release();
  EXPECT_EQ(victim.seen->control()->read_position.load(), 64u);
}

// More than was ever written, or less than before.
TEST(ShmWireTest, WildReadPositionsCloseTheConnection) {
  for (const uint64_t ahead :
       {~uint64_t{0} - 7, ~uint64_t{0} - kRing, 4 * uint64_t{kRing}, uint64_t{1} << 32, uint64_t{1} << 63}) {
    Victim victim;
    while (Send(victim.wire.get(), 1000, 1)) {
    }
    const uint64_t tail = victim.wire->sent_bytes();
    victim.hostile.own.control()->read_position.store(tail);
    ASSERT_TRUE(Send(victim.wire.get(), 1000, 1));
    victim.hostile.own.control()->read_position.store(tail + ahead);  // which may wrap
    while (Send(victim.wire.get(), 1000, 1)) {
    }
    EXPECT_EQ(victim.Receive(), Received::kClosed) << ahead;
    EXPECT_EQ(victim.wire->status().code(), absl::StatusCode::kInternal) << victim.wire->status();
  }
}

TEST(ShmWireTest, RandomMemoryHarmsNobody) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    Victim victim;
    for (size_t i = 0; i < kRing; i += 4) {
      const uint32_t word = random() % 4 == 0 ? random() : random() % 4 == 0 ? 16 + random() % 64 : random() % 12;
      std::memcpy(victim.hostile.own.ring() + i, &word, sizeof word);
    }
    Frame frame{};
    uint64_t sum = 0;
    for (int i = 0; i < 5000; ++i) {
      if (victim.wire->Receive(&frame) != Received::kFrame) break;
      for (size_t b = 0; b < frame.payload_size(); ++b) sum += frame.payload[b];
      victim.wire->Release();
      victim.hostile.own.control()->read_position.store(random());
      victim.hostile.own.control()->sleep_epoch.store(random());
      victim.hostile.own.control()->wants_room.store(random());
      victim.wire->PrepareSleep();
      victim.wire->FinishSleep(static_cast<uint32_t>(random() % 4));
    }
    (void)sum;
  }
}

// --- Frames that are too large for the ring
// ------------------------------------------------------------------------------

constexpr size_t kBulk = 128 * kRing;

TEST(ShmWireTest, GrowsToTheFrameThatIsToGo) {
  Pair pair(kBulk);
  EXPECT_EQ(pair.one->max_frame_size(), kMaxFrame) << "nothing before it is asked for";
  EXPECT_EQ(pair.one->Reserve(100), kMaxFrame);
  uint32_t last = kMaxFrame;
  for (const uint32_t size : {kMaxFrame + 1, 100'000u, 65'536u, 1'000'000u, uint32_t{kBulk / 2}}) {
    const uint32_t now = pair.one->Reserve(size);
    EXPECT_GE(now, size);
    EXPECT_GE(now, last) << "it only grows";
    EXPECT_EQ(pair.one->max_frame_size(), now);
    last = now;
    ASSERT_TRUE(Send(pair.one.get(), size, 9));
    ExpectFrame(pair.two.get(), size, 9);
    ExpectNothing(pair.two.get());
  }
  EXPECT_EQ(pair.one->Reserve(kBulk), kBulk / 2) << "the cap";
  EXPECT_EQ(pair.two->max_frame_size(), kMaxFrame) << "each direction by itself";
}

TEST(ShmWireTest, WithoutABulkAreaNothingGrows) {
  Pair pair;
  EXPECT_EQ(pair.one->Reserve(1 << 20), kMaxFrame);
}

// Small and large frames in one order, with as many under way as there is room for.
TEST(ShmWireTest, FramesOfTheRingAndOfTheBulkAreaKeepTheirOrder) {
  Pair pair(kBulk);
  std::mt19937 random(6);
  std::deque<std::pair<uint32_t, uint8_t>> under_way;
  uint8_t seed = 0;
  int large = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto size = static_cast<uint32_t>(kHeaderSize + random() % (random() % 4 == 0 ? 300'000 : 3'000));
    pair.one->Reserve(size);
    if (random() % 2 == 0 && Send(pair.one.get(), size, ++seed)) {
      under_way.emplace_back(size, seed);
      large += size > kMaxFrame;
    } else if (!under_way.empty()) {
      ExpectFrame(pair.two.get(), under_way.front().first, under_way.front().second);
      under_way.pop_front();
    }
  }
  EXPECT_GT(large, 100);
}

TEST(ShmWireTest, WakesAWriterThatWaitsForRoomInTheBulkArea) {
  Pair pair(kBulk);
  const uint32_t size = kBulk / 2;
  pair.one->Reserve(size);
  const int bell = DoorbellOf(*pair.one);
  for (int round = 0; round < 5; ++round) {
    int sent = 0;
    while (Send(pair.one.get(), size, 1)) ++sent;
    EXPECT_EQ(sent, 2);
    pair.one->WantRoom(true);
    ASSERT_EQ(pair.one->Claim(size), nullptr);
    ASSERT_TRUE(pair.one->PrepareSleep());
    EXPECT_FALSE(Readable(bell));
    ExpectFrame(pair.two.get(), size, 1);
    EXPECT_TRUE(Readable(bell)) << "each of them is worth telling of";
    Silence(bell);
    pair.one->FinishSleep(1);
    EXPECT_NE(pair.one->Claim(size), nullptr);
    pair.one->WantRoom(false);
    ExpectFrame(pair.two.get(), size, 1);
  }
}

// A record that names a frame outside of the area, or none that fits in, or at a crooked place.
TEST(ShmWireTest, HostileRecordsCloseTheConnection) {
  constexpr uint32_t kInBulk = 1u << 31;
  const auto area = static_cast<uint32_t>(kBulk);
  struct Record {
    uint32_t size, at;
  };
  for (const Record record : {Record{0, 0},
                              {15, 0},
                              {16, area - 15},
                              {16, area},
                              {16, 0xfffffff0},
                              {16, 1},
                              {16, 8},
                              {area / 2 + 1, 0},
                              {area / 2, area / 2 + 64},
                              {0x7fffffff, 0},
                              {0x7fffffff, 0x80000000}}) {
    Victim victim(kBulk);
    const uint32_t words[] = {record.size | kInBulk, record.at};
    std::memcpy(victim.hostile.own.ring(), words, sizeof words);
    EXPECT_EQ(victim.Receive(), Received::kClosed) << record.size << " at " << record.at;
    EXPECT_EQ(victim.wire->status().code(), absl::StatusCode::kInternal) << victim.wire->status();
  }
}

// The area need not have memory where a record points: that is no fault, but a frame of zeroes, which is none.
TEST(ShmWireTest, ARecordThatPointsWhereNothingWasWrittenIsHarmless) {
  Victim victim(kBulk);
  const uint32_t words[] = {1000 | 1u << 31, kBulk - 1024};
  std::memcpy(victim.hostile.own.ring(), words, sizeof words);
  EXPECT_EQ(victim.Receive(), Received::kClosed);
  EXPECT_EQ(victim.wire->status().code(), absl::StatusCode::kInternal) << victim.wire->status();
}

// What the record said once is all that counts.
TEST(ShmWireTest, RecordsAreLookedAtOnce) {
  Victim victim(kBulk);
  ASSERT_TRUE(victim.hostile.own.Populate(0, kBulk));
  const FrameHeader header = Ping(50'000);
  std::memcpy(victim.hostile.own.bulk() + 640, &header, sizeof header);
  const uint32_t words[] = {50'000 | 1u << 31, 640};
  std::memcpy(victim.hostile.own.ring(), words, sizeof words);
  Frame frame{};
  ASSERT_EQ(victim.wire->Receive(&frame), Received::kFrame);
  std::memset(victim.hostile.own.ring(), 0xff, 64);
  std::memset(victim.hostile.own.bulk(), 0xff, 1000);
  EXPECT_EQ(frame.header.size, 50'000u);
  EXPECT_EQ(frame.header.kind, static_cast<uint8_t>(FrameKind::kPing));
  victim.wire->Release();
  EXPECT_EQ(victim.seen->control()->read_position.load(), kLine);
}

// --- Sleeping
// -----------------------------------------------------------------------------------------------------------

TEST(ShmWireTest, RingsOncePerSleepAndNotForThoseAwake) {
  Pair pair;
  const int bell = DoorbellOf(*pair.two);
  ASSERT_TRUE(Send(pair.one.get(), 16, 1));
  EXPECT_FALSE(Readable(bell));            // awake
  EXPECT_FALSE(pair.two->PrepareSleep());  // there is a frame
  pair.two->FinishSleep(0);
  ExpectFrame(pair.two.get(), 16, 1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(pair.two->PrepareSleep());
    EXPECT_FALSE(Readable(bell));
    ASSERT_TRUE(Send(pair.one.get(), 16, 1));
    EXPECT_TRUE(Readable(bell));
    Silence(bell);
    ASSERT_TRUE(Send(pair.one.get(), 16, 2));
    EXPECT_FALSE(Readable(bell)) << "a second ring for one sleep";
    pair.two->FinishSleep(1);
    ExpectFrame(pair.two.get(), 16, 1);
    ExpectFrame(pair.two.get(), 16, 2);
    ASSERT_TRUE(Send(pair.one.get(), 16, 3));
    EXPECT_FALSE(Readable(bell));
    ExpectFrame(pair.two.get(), 16, 3);
  }
}

TEST(ShmWireTest, WakesAWriterThatWaitsForRoom) {
  Pair pair;
  const int bell = DoorbellOf(*pair.one);
  for (int round = 0; round < 5; ++round) {
    int sent = 0;
    while (Send(pair.one.get(), 1000, 1)) ++sent;
    pair.one->WantRoom(true);
    ASSERT_EQ(pair.one->Claim(1000), nullptr);
    ASSERT_TRUE(pair.one->PrepareSleep());
    EXPECT_FALSE(Readable(bell));
    for (int i = 0; i < sent; ++i) ExpectFrame(pair.two.get(), 1000, 1);
    // At the latest when the reader has nothing more to do.
    if (pair.two->PrepareSleep()) {
      EXPECT_TRUE(Readable(bell));
    }
    pair.two->FinishSleep(0);
    Silence(bell);
    pair.one->FinishSleep(1);
    ASSERT_NE(pair.one->Claim(1000), nullptr);
    pair.one->WantRoom(false);
  }
}

TEST(ShmWireTest, DoesNotSleepWhereRoomHasComeMeanwhile) {
  Pair pair;
  while (Send(pair.one.get(), 1000, 1)) {
  }
  pair.one->WantRoom(true);
  ASSERT_EQ(pair.one->Claim(1000), nullptr);
  ExpectFrame(pair.two.get(), 1000, 1);
  EXPECT_FALSE(pair.two->PrepareSleep());
  pair.two->FinishSleep(0);
  EXPECT_FALSE(pair.one->PrepareSleep());
  pair.one->FinishSleep(0);
}

// --- Ending
// -------------------------------------------------------------------------------------------------------------

TEST(ShmWireTest, DeliversWhatWasSentBeforeThePeerWent) {
  Pair pair;
  ASSERT_TRUE(Send(pair.one.get(), 100, 1));
  ASSERT_TRUE(Send(pair.one.get(), 200, 2));
  pair.one.reset();
  pair.two->FinishSleep(2);  // the socket is ready
  ExpectFrame(pair.two.get(), 100, 1);
  ExpectFrame(pair.two.get(), 200, 2);
  Frame frame{};
  EXPECT_EQ(pair.two->Receive(&frame), Received::kClosed);
  EXPECT_EQ(pair.two->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(pair.two->PrepareSleep());
}

// Descriptors wait there for the frames that they go with, so what lies there says nothing; the end of file does.
TEST(ShmWireTest, TheSocketsEndIsSeenBehindWhatLiesThere) {
  Victim victim;
  ASSERT_EQ(send(victim.hostile.socket.get(), "x", 1, MSG_NOSIGNAL), 1);
  victim.wire->FinishSleep(2);
  EXPECT_EQ(victim.Receive(), Received::kNothing);
  victim.hostile.socket.reset();
  victim.wire->FinishSleep(2);
  EXPECT_EQ(victim.Receive(), Received::kClosed);
}

TEST(ShmWireTest, ShutdownClosesBothSides) {
  Pair pair;
  pair.one->Shutdown();
  Frame frame{};
  EXPECT_EQ(pair.one->Receive(&frame), Received::kClosed);
  WatchedFd fds[kMaxWatchedFds];
  pair.two->watched_fds(fds);
  EXPECT_TRUE(Readable(fds[1].fd));
  pair.two->FinishSleep(2);
  EXPECT_EQ(pair.two->Receive(&frame), Received::kClosed);
}

TEST(ShmWireTest, KnowsWhatThePeerHasRead) {
  Pair pair;
  ASSERT_TRUE(Send(pair.one.get(), 100, 1));
  const uint64_t first = pair.one->sent_bytes();
  ASSERT_TRUE(Send(pair.one.get(), 100, 2));
  const uint64_t second = pair.one->sent_bytes();
  EXPECT_FALSE(pair.one->PeerHasRead(first));
  ExpectFrame(pair.two.get(), 100, 1);
  pair.two->PrepareSleep();
  pair.two->FinishSleep(0);
  EXPECT_TRUE(pair.one->PeerHasRead(first));
  EXPECT_FALSE(pair.one->PeerHasRead(second));
}

// --- Two threads
// ----------------------------------------------------------------------------------------------------------

// Sleeps as a poller does: on both descriptors.
void SleepOn(ShmWire* wire) {
  uint32_t ready = 0;
  if (wire->PrepareSleep()) {
    WatchedFd watched[kMaxWatchedFds];
    pollfd fds[2];
    wire->watched_fds(watched);
    for (int i = 0; i < 2; ++i) fds[i] = pollfd{watched[i].fd, POLLIN, 0};
    poll(fds, 2, -1);
    for (int i = 0; i < 2; ++i) ready |= fds[i].revents != 0 ? 1u << i : 0;
    if ((ready & 1) != 0) Silence(watched[0].fd);  // poll() knows no edges
  }
  wire->FinishSleep(ready);
}

void SendWaiting(ShmWire* wire, uint32_t size, uint8_t seed) {
  if (Send(wire, size, seed)) return;
  for (;;) {
    wire->WantRoom(true);
    if (Send(wire, size, seed)) break;
    SleepOn(wire);
  }
  wire->WantRoom(false);
}

// Both sleep as often as they can: a lost wake-up is a hang.
TEST(ShmWireTest, LosesNothingBetweenTwoThreads) {
  for (const uint32_t max_size : {24u, 300u, kMaxFrame}) {
    Pair pair;
    const int count = max_size > 1000 ? 20'000 : 200'000;
    std::thread writer([&] {
      std::mt19937 random(max_size);
      for (int i = 0; i < count; ++i) {
        SendWaiting(pair.one.get(), kHeaderSize + random() % (max_size - kHeaderSize + 1), static_cast<uint8_t>(i));
      }
    });
    std::mt19937 random(max_size), pauses(1);
    for (int i = 0; i < count;) {
      Frame frame{};
      const Received received = pair.two->Receive(&frame);
      if (received == Received::kNothing) {
        if (pauses() % 2 == 0) SleepOn(pair.two.get());
        continue;
      }
      ASSERT_EQ(received, Received::kFrame);
      ASSERT_EQ(frame.header.size, kHeaderSize + random() % (max_size - kHeaderSize + 1)) << i;
      ASSERT_TRUE(IsFullOf(static_cast<uint8_t>(i), frame.payload, frame.payload_size())) << i;
      pair.two->Release();
      ++i;
    }
    writer.join();
  }
}

TEST(ShmWireTest, LosesNothingInPingPong) {
  Pair pair;
  constexpr int kCount = 50'000;
  std::thread other([&] {
    for (int i = 0; i < kCount;) {
      Frame frame{};
      if (pair.two->Receive(&frame) != Received::kFrame) {
        SleepOn(pair.two.get());
        continue;
      }
      const uint32_t size = frame.header.size;
      pair.two->Release();
      SendWaiting(pair.two.get(), size, static_cast<uint8_t>(i++));
    }
  });
  for (int i = 0; i < kCount; ++i) {
    SendWaiting(pair.one.get(), static_cast<uint32_t>(kHeaderSize) + static_cast<uint32_t>(i) % 100, 1);
    Frame frame{};
    Received received;
    while ((received = pair.one->Receive(&frame)) == Received::kNothing) SleepOn(pair.one.get());
    ASSERT_EQ(received, Received::kFrame);
    pair.one->Release();
  }
  other.join();
}

}  // namespace
}  // namespace nearcall
