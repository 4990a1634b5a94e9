// The decoder of frames on a byte stream: whatever comes, what it hands out has been checked, and lies in its buffer;
// and of the descriptors that come none stays open.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "runtime/base/fd_passing.h"
#include "runtime/stream/stream_wire.h"
#include "tests/fuzz/fuzz.h"

using nearcall::testing::FuzzInput;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const uint8_t how = input.Byte();
  const uint8_t piece = how % 128;       // 0: all at once; otherwise in pieces of that size
  const bool with_fds = how / 128 != 0;  // a descriptor with each
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  nearcall::Fd peer(ends[1]);
  std::optional<nearcall::StreamWire> wire(std::in_place, nearcall::Fd(ends[0]), "the peer");
  int pipe_ends[2] = {-1, -1};
  if (with_fds) FUZZ_CHECK(wire->OnFdPassing(nearcall::FdPassing::kWanted));
  if (with_fds) FUZZ_CHECK(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) == 0);
  const nearcall::Fd last(pipe_ends[0]);  // is at its end when all that was sent is closed
  nearcall::Fd sent(pipe_ends[1]);
  size_t fds_sent = 0, fds_taken = 0;
  uint64_t sum = 0;
  nearcall::Received received = nearcall::Received::kNothing;
  const auto look = [&] {
    nearcall::Frame frame{};
    for (int looks = 0; looks < 3; ++looks) {
      while ((received = wire->Receive(&frame)) == nearcall::Received::kFrame) {
        FUZZ_CHECK(ValidateHeader(frame.header, nearcall::kMaxFrameSize) == nearcall::FrameError::kNone);
        for (size_t i = 0; i < frame.payload_size(); ++i) sum += frame.payload[i];
        if (frame.has(nearcall::frame_flags::kDescriptor)) {
          const nearcall::ReceivedFd taken = wire->TakeFd();
          FUZZ_CHECK(!taken.lost);
          if (taken.fd.valid()) ++fds_taken;
        }
        wire->Release();
      }
      if (received == nearcall::Received::kClosed) return false;
    }
    return true;
  };
  bool open = true;
  while (open && !input.empty()) {
    const std::string bytes = piece == 0 ? input.Rest() : input.Bytes(piece);
    const int fd = sent.get();
    if (nearcall::SendBytesAndFds(peer.get(), bytes.data(), bytes.size(), &fd, with_fds ? 1 : 0) < 0) break;
    if (with_fds) ++fds_sent;
    open = look();
  }
  peer.reset();
  while (open && look()) {
  }
  FUZZ_CHECK(received == nearcall::Received::kClosed && !wire->status().ok());
  FUZZ_CHECK(fds_taken <= fds_sent);
  wire.reset();
  sent.reset();
  char byte;
  FUZZ_CHECK(!with_fds || read(last.get(), &byte, 1) == 0);
  return static_cast<int>(sum & 0);
}
