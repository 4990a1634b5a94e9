// What a peer can do to memory that it shares with us while we look at it.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "protos/testing/test_service.pb.h"
#include "runtime/engine/inbox.h"
#include "runtime/engine/pending_call.h"
#include "runtime/transports/shm/shm_wire.h"
#include "tests/hostile/fetch_watch.h"

namespace nearcall::testing {
namespace {

constexpr size_t kRing = Segment::kMinRing;
constexpr uint32_t kMaxFrame = kRing / 2 - 64;

Fd DupOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// A Wire, and its peer's memory and socket in the test's hands.
struct Victim {
  Victim() : hostile(*Segment::Create(kRing)), hostile_bell(*Doorbell::Create()) {
    Segment own = *Segment::Create(kRing);
    Segment peer = *Segment::Open(DupOf(hostile.fd()));
    seen_control = peer.control();
    seen_ring = peer.ring();
    own_control = own.control();
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) abort();
    socket.reset(ends[1]);
    wire = std::make_unique<ShmWire>(ShmWire::Parts{Fd(ends[0]), std::move(own), std::move(peer), *Doorbell::Create(),
                                                    *Ringer::Open(DupOf(hostile_bell.ringer_fd())), false, "the peer"});
  }

  Segment hostile;
  Doorbell hostile_bell;
  Fd socket;
  // The peer's memory as the Wire sees it, and its own control words.
  SegmentControl* seen_control;
  uint8_t* seen_ring;
  SegmentControl* own_control;
  std::unique_ptr<ShmWire> wire;
  std::atomic<uint64_t> sent{0};  // what the Wire's thread has sent
};

// --- Between two fetches -------------------------------------------------------------------------------------------

class Fetches : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!FetchWatch::Works()) GTEST_SKIP() << "needs x86-64, and a build without sanitizers";
  }
};

// The header is changed after each look at it, to one that would be good or bad by itself. What the Wire hands out
// was checked, whatever it looks at: nothing is looked at again once it has been.
TEST_F(Fetches, EachWordOfAHeaderIsFetchedOnce) {
  const FrameHeader first{64, static_cast<uint8_t>(FrameKind::kRequest), 0, 1, 1, 48};
  for (const FrameHeader& then :
       {FrameHeader{128, static_cast<uint8_t>(FrameKind::kRequest), 0, 1, 1, 112},
        FrameHeader{64, static_cast<uint8_t>(FrameKind::kRequest), 0, 1, 1, 0xffffffff},
        FrameHeader{0xffffffff, static_cast<uint8_t>(FrameKind::kRequest), 0xff, 0xffff, 0, 0xffffffff},
        FrameHeader{0xffffffff, first.kind, 0, 1, 1, 48}, FrameHeader{}}) {
    // Changed after the first fetch, after the second, and so on.
    for (size_t when = 0; when < 4; ++when) {
      Victim victim;
      std::memcpy(victim.hostile.ring(), &first, sizeof first);
      FetchWatch watch(victim.seen_ring, [&](size_t fetch) {
        if (fetch == when) std::memcpy(victim.hostile.ring(), &then, sizeof then);
      });
      Frame frame{};
      const Received received = victim.wire->Receive(&frame);
      const std::vector<FetchWatch::Fetch> fetches = watch.Stop();
      if (received == Received::kFrame) {
        EXPECT_EQ(ValidateHeader(frame.header, kMaxFrame), FrameError::kNone) << "what is handed out was not checked";
        EXPECT_EQ(frame.header.size, first.size) << "the size is the one that was there first";
      }
      // The word that publishes a frame is fetched to see whether there is one, then with the rest as it is copied,
      // and the first is what counts.
      size_t looks[4] = {};
      for (const FetchWatch::Fetch& fetch : fetches) {
        ASSERT_LT(fetch.offset, kHeaderSize) << "the payload is not the Wire's to look at";
        ++looks[fetch.offset / 4];
      }
      EXPECT_LE(fetches.size(), 3u);
      EXPECT_LE(looks[0], 2u);
      for (int word = 1; word < 4; ++word) EXPECT_LE(looks[word], 1u) << "word " << word;
    }
  }
}

TEST_F(Fetches, AReadPositionIsFetchedOnce) {
  for (const uint64_t then : {uint64_t{0}, ~uint64_t{0}, uint64_t{1} << 40}) {
    Victim victim;
    while (uint8_t* const room = victim.wire->Claim(1000)) {
      std::memset(room, 0, 1000);
      victim.wire->Commit(1000);
    }
    const uint64_t tail = victim.wire->sent_bytes();
    victim.hostile.control()->read_position.store(tail);
    FetchWatch watch(victim.seen_control, [&](size_t) { victim.hostile.control()->read_position.store(then); });
    EXPECT_NE(victim.wire->Claim(1000), nullptr) << "what was read first was good";
    const std::vector<FetchWatch::Fetch> fetches = watch.Stop();
    EXPECT_EQ(fetches.size(), 1u);
    // The Wire goes by what it has read: there is room for one ring, and no more.
    size_t claimed = 0;
    while (claimed <= kRing && victim.wire->Claim(1000) != nullptr) {
      victim.wire->Commit(1000);
      claimed += 1000;
    }
    EXPECT_LE(claimed, kRing);
  }
}

// Another user's message is copied before anything is made of it; the parser sees the copy. (Where the detector is
// worth something it finds the parser at a message of the same user's.)
TEST_F(Fetches, AnothersMessageIsCopiedBeforeItIsParsed) {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(page, MAP_FAILED);
  Payload original;
  original.set_data(std::string(3000, 'x'));
  original.set_number(12345678);
  ASSERT_TRUE(original.SerializeToArray(page, 4096));
  const size_t size = original.ByteSizeLong();
  const auto parser_fetches = [&](auto parse) {
    FetchWatch watch(page, [](size_t) {});
    parse();
    size_t count = 0;
    for (const FetchWatch::Fetch& fetch : watch.Stop()) count += IsIn(fetch.code, "libprotobuf") ? 1 : 0;
    return count;
  };
  Payload parsed;
  const auto* const data = static_cast<const uint8_t*>(page);
  const auto parse = [&](bool trusted) {
    return [&, trusted] { EXPECT_TRUE(ParsePayload(internal::InMessage(&parsed), data, size, trusted)); };
  };
  const size_t in_place = parser_fetches(parse(true));
  EXPECT_EQ(parsed.number(), original.number());
  if (in_place == 0) GTEST_SKIP() << "protobuf is linked statically: its fetches cannot be told from others";
  EXPECT_EQ(parser_fetches(parse(false)), 0u);
  EXPECT_EQ(parsed.data(), original.data());
  // The same for a stream: its reader offers its message, and the poller parses into it only what nobody can change.
  Reactor reactor(Spin::kNever);
  for (const bool trusted : {true, false}) {
    Inbox inbox(-1, kInitialCredit, nullptr);
    Frame frame{};
    frame.header =
        FrameHeader{static_cast<uint32_t>(kHeaderSize + size), static_cast<uint8_t>(FrameKind::kMessage), 0, 0, 1, 0};
    frame.payload = data;
    size_t fetches = 0;
    // The frame comes while the reader waits, and looks whether it need not any more.
    bool came = false;
    const auto put_once = [&] {
      if (!std::exchange(came, true)) fetches = parser_fetches([&] { inbox.PutFrame(frame, trusted); });
      return false;
    };
    const Inbox::Got got = inbox.Read(internal::InMessage(&parsed), &reactor, kNever, put_once);
    EXPECT_EQ(got, Inbox::Got::kMessage);
    EXPECT_EQ(parsed.data(), original.data());
    EXPECT_EQ(fetches != 0, trusted);
  }
  munmap(page, 4096);
}

// --- All the time ----------------------------------------------------------------------------------------------------

// How many looks the Wire takes while another thread writes; many find what was there before. NEARCALL_ROUNDS sets it:
// a thousand million take minutes.
int64_t Rounds() {
  const char* const rounds = std::getenv("NEARCALL_ROUNDS");
  return rounds != nullptr ? std::atoll(rounds) : 300'000;
}

// Writes words that are nearly good into wherever the Wire looks next, and anything anywhere.
void Mutate(Victim* victim, const std::atomic<bool>* stop, uint32_t seed) {
  std::mt19937 random(seed);
  auto* const ring = reinterpret_cast<std::atomic<uint32_t>*>(victim->hostile.ring());
  SegmentControl* const control = victim->hostile.control();
  while (!stop->load(std::memory_order_relaxed)) {
    const uint64_t head = victim->own_control->read_position.load(std::memory_order_relaxed);
    const size_t word = head % kRing / 4;
    const size_t words = kRing / 4;
    switch (random() % 8) {
      case 0:
      case 1: {  // a good header, the size last
        const uint32_t size = 16 + random() % 200;
        const FrameHeader header{size, static_cast<uint8_t>(FrameKind::kPing), 0, 0, 0, 0};
        uint32_t image[4];
        std::memcpy(image, &header, sizeof image);
        for (size_t i = 3; i < 4; --i) ring[(word + i) % words].store(image[i], std::memory_order_relaxed);
        break;
      }
      case 2:  // another size, good or nearly so
        ring[word].store(random() % 2 == 0 ? random() % kRing : kMaxFrame + random() % 3, std::memory_order_relaxed);
        break;
      case 3:
        ring[(word + random() % 4) % words].store(random(), std::memory_order_relaxed);
        break;
      case 4:
        ring[random() % words].store(random(), std::memory_order_relaxed);
        break;
      case 5:
        control->sleep_epoch.store(random(), std::memory_order_relaxed);
        break;
      case 6:
        control->wants_room.store(random(), std::memory_order_relaxed);
        break;
      default:
        control->read_position.store(random() % 1000 == 0 ? random() : victim->sent.load(std::memory_order_relaxed),
                                     std::memory_order_relaxed);
    }
  }
}

// One look of a poller's, as a server would take it.
bool Look(Victim* victim, std::mt19937* random, uint64_t* sum) {
  ShmWire* const wire = victim->wire.get();
  Frame frame{};
  switch (wire->Receive(&frame)) {
    case Received::kClosed:
      return false;
    case Received::kFrame: {
      EXPECT_EQ(ValidateHeader(frame.header, kMaxFrame), FrameError::kNone);
      EXPECT_GE(frame.payload, victim->seen_ring + kHeaderSize);
      EXPECT_LE(frame.payload + frame.payload_size(), victim->seen_ring + 2 * kRing);
      for (size_t i = 0; i < frame.payload_size(); ++i) *sum += frame.payload[i];
      wire->Release();
      break;
    }
    case Received::kNothing:
      break;
  }
  const size_t size = kHeaderSize + (*random)() % 100;
  if (uint8_t* const room = wire->Claim(size)) {
    std::memset(room + 4, 1, size - 4);
    wire->Commit(size);
    wire->Flush();
    victim->sent.store(wire->sent_bytes(), std::memory_order_relaxed);
  } else {
    wire->WantRoom(true);
  }
  if ((*random)() % 64 == 0) {
    wire->PrepareSleep();
    wire->FinishSleep(1);
  }
  return true;
}

TEST(Mutator, FindsNothing) {
  std::mt19937 random(7);
  uint64_t sum = 0;
  int64_t connections = 0;
  for (int64_t rounds = Rounds(); rounds > 0; ++connections) {
    Victim victim;
    std::atomic<bool> stop{false};
    std::thread mutator([&, seed = random()] { Mutate(&victim, &stop, static_cast<uint32_t>(seed)); });
    while (rounds-- > 0 && Look(&victim, &random, &sum)) {
    }
    stop = true;
    mutator.join();
  }
  RecordProperty("connections", static_cast<int>(connections));
  EXPECT_GT(connections, 1) << "the mutator was seen";
}

}  // namespace
}  // namespace nearcall::testing
