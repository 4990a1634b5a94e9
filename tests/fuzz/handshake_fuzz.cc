// HELLO and WELCOME: the reader of the first frame, on both sides, and its message.

#include <sys/socket.h>

#include "protos/nearcall/protocol.pb.h"
#include "runtime/base/fd.h"
#include "runtime/stream/handshake.h"
#include "runtime/wire/frame.h"
#include "tests/fuzz/fuzz.h"

namespace {

template <class Message>
void Read(nearcall::FrameKind kind, const uint8_t* data, size_t size) {
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  nearcall::Fd ours(ends[0]), peer(ends[1]);
  if (size != 0) FUZZ_CHECK(send(peer.get(), data, size, MSG_NOSIGNAL) == static_cast<ssize_t>(size));
  peer.reset();
  nearcall::HandshakeReader reader(static_cast<uint8_t>(kind));
  const auto progress = reader.Read(ours.get());
  FUZZ_CHECK(progress != nearcall::HandshakeReader::Progress::kMore);  // the peer is gone
  FUZZ_CHECK((progress == nearcall::HandshakeReader::Progress::kFailed) == !reader.status().ok());
  Message message;
  if (progress == nearcall::HandshakeReader::Progress::kDone) reader.Parse(&message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Read<nearcall::protocol::Hello>(nearcall::FrameKind::kHello, data + 1, size - 1);
  Read<nearcall::protocol::Welcome>(nearcall::FrameKind::kWelcome, data + 1, size - 1);
  return 0;
}
