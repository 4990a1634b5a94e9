// The decoder of frames on a byte stream: whatever comes, what it hands out has been checked, and lies in its buffer.

#include <sys/socket.h>

#include <memory>

#include "runtime/stream/stream_wire.h"
#include "tests/fuzz/fuzz.h"

using nearcall::testing::FuzzInput;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const uint8_t piece = input.Byte();  // 0: all at once; otherwise in pieces of that size
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  nearcall::Fd peer(ends[1]);
  nearcall::StreamWire wire(nearcall::Fd(ends[0]), "the peer");
  uint64_t sum = 0;
  nearcall::Received received = nearcall::Received::kNothing;
  const auto look = [&] {
    nearcall::Frame frame{};
    for (int looks = 0; looks < 3; ++looks) {
      while ((received = wire.Receive(&frame)) == nearcall::Received::kFrame) {
        FUZZ_CHECK(ValidateHeader(frame.header, nearcall::kMaxFrameSize) == nearcall::FrameError::kNone);
        for (size_t i = 0; i < frame.payload_size(); ++i) sum += frame.payload[i];
        wire.Release();
      }
      if (received == nearcall::Received::kClosed) return false;
    }
    return true;
  };
  bool open = true;
  while (open && !input.empty()) {
    const std::string bytes = piece == 0 ? input.Rest() : input.Bytes(piece);
    if (send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) break;
    open = look();
  }
  peer.reset();
  while (open && look()) {
  }
  FUZZ_CHECK(received == nearcall::Received::kClosed && !wire.status().ok());
  return static_cast<int>(sum & 0);
}
