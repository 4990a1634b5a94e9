// The words of a ring: between any two things that the Wire does the peer writes what it likes, wherever it can.

#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "runtime/transports/shm/shm_wire.h"
#include "tests/fuzz/fuzz.h"

namespace {

using nearcall::Fd;
using nearcall::Segment;
using nearcall::ShmWire;
using nearcall::testing::FuzzInput;

constexpr size_t kRing = Segment::kMinRing;
constexpr uint32_t kMaxFrame = kRing / 2 - 64;

Fd DupOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// Wild numbers that matter.
uint64_t Pick(FuzzInput* input, uint64_t near) {
  switch (input->Byte() % 4) {
    case 0:
      return near + input->Byte() - 128;
    case 1:
      return uint64_t{1} << input->Byte() % 64;
    default:
      return input->Number(8);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  absl::StatusOr<Segment> hostile = Segment::Create(kRing);
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  FUZZ_CHECK(hostile.ok() && own.ok());
  Segment peer = *Segment::Open(DupOf(hostile->fd()));
  const uint8_t* const seen = peer.ring();
  const nearcall::SegmentControl* const own_control = own->control();
  absl::StatusOr<nearcall::Doorbell> bell = nearcall::Doorbell::Create();
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  Fd socket(ends[1]);
  ShmWire wire(ShmWire::Parts{Fd(ends[0]), *std::move(own), std::move(peer), *nearcall::Doorbell::Create(),
                              *nearcall::Ringer::Open(DupOf(bell->ringer_fd())), false, "the peer"});
  bool closed = false;
  uint64_t sum = 0;
  while (!input.empty() && !closed) {
    const uint8_t what = input.Byte() % 12;
    const uint64_t head = own_control->read_position.load();
    switch (what) {
      case 0: {  // a header where the Wire looks
        const std::string bytes = input.Bytes(nearcall::kHeaderSize);
        std::memcpy(hostile->ring() + head % kRing, bytes.data(), bytes.size());
        break;
      }
      case 1: {  // a good header, at least in itself
        const nearcall::FrameHeader header{
            static_cast<uint32_t>(16 + input.Number(2) % (kMaxFrame + 32)), 10, 0, 0, 0, 0};
        std::memcpy(hostile->ring() + head % kRing, &header, sizeof header);
        break;
      }
      case 2: {  // any word
        const size_t at = input.Number(2) % (kRing / 4) * 4;
        const auto word = static_cast<uint32_t>(Pick(&input, kMaxFrame));
        std::memcpy(hostile->ring() + at, &word, sizeof word);
        break;
      }
      case 3:
        hostile->control()->read_position.store(Pick(&input, wire.sent_bytes()));
        break;
      case 4:
        hostile->control()->sleep_epoch.store(static_cast<uint32_t>(Pick(&input, 0)));
        break;
      case 5:
        hostile->control()->wants_room.store(static_cast<uint32_t>(Pick(&input, 0)));
        break;
      case 6: {
        const size_t frame = 16 + input.Number(2) % (kMaxFrame - 15);
        if (uint8_t* const room = wire.Claim(frame)) {
          std::memset(room + 4, 1, frame - 4);
          wire.Commit(frame);
          wire.Flush();
        } else {
          wire.WantRoom(true);
        }
        break;
      }
      case 7:
        wire.PrepareSleep();
        wire.FinishSleep(input.Byte() % 4);
        break;
      case 8:
        wire.PeerHasRead(input.Number(8));
        break;
      case 9:
        if (input.Byte() == 0) socket.reset();
        break;
      default: {
        nearcall::Frame frame{};
        const nearcall::Received received = wire.Receive(&frame);
        closed = received == nearcall::Received::kClosed;
        if (received != nearcall::Received::kFrame) break;
        FUZZ_CHECK(ValidateHeader(frame.header, kMaxFrame) == nearcall::FrameError::kNone);
        FUZZ_CHECK(frame.payload >= seen + 16 && frame.payload + frame.payload_size() <= seen + 2 * kRing);
        for (size_t i = 0; i < frame.payload_size(); ++i) sum += frame.payload[i];
        wire.Release();
      }
    }
  }
  FUZZ_CHECK(!closed || !wire.status().ok());
  return static_cast<int>(sum & 0);
}
