#ifndef NEARCALL_RUNTIME_STREAM_HANDSHAKE_H_
#define NEARCALL_RUNTIME_STREAM_HANDSHAKE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "protos/nearcall/protocol.pb.h"
#include "runtime/base/fd.h"

namespace nearcall {

// The first frame in each direction, over a socket: a HELLO that says what the client wants, a WELCOME that says what
// it gets (PROTOCOL.md, "Handshake"). Descriptors travel with them over Unix sockets.

// A handshake frame that was received: its bytes so far, then its message and descriptors. Reads exactly the frame's
// bytes and not one of what follows.
//
// Threads: thread-compatible. Owns the descriptors; those that nobody takes are closed.
class HandshakeReader {
 public:
  enum class Progress { kDone, kMore, kFailed };

  // `kind` is what is expected: FrameKind::kHello or kWelcome.
  explicit HandshakeReader(uint8_t kind) : kind_(kind) {}

  // Reads what `fd` (non-blocking) has. kFailed: status() says why.
  Progress Read(int fd);
  const absl::Status& status() const { return status_; }
  // After kDone.
  bool Parse(google::protobuf::MessageLite* message) const;
  std::vector<Fd>& fds() { return fds_; }

 private:
  Progress Fail(absl::Status status);

  const uint8_t kind_;
  std::string bytes_;
  size_t wanted_ = 16;  // the header first
  std::vector<Fd> fds_;
  absl::Status status_;
};

// The bytes of a handshake frame.
std::string HandshakeFrame(uint8_t kind, const google::protobuf::MessageLite& message);

// Sends all of `bytes`, the descriptors with the first of them; the socket's buffer is empty at this point, so it never
// has to wait. UNAVAILABLE when it cannot.
absl::Status SendWithFds(int fd, const std::string& bytes, const std::vector<int>& fds);

// The client's side, whole: sends `hello` with `fds`, waits for the answer until `deadline`. What the server refuses is
// returned as its status. The descriptors that came are in *received.
absl::StatusOr<protocol::Welcome> ShakeHands(int fd, const protocol::Hello& hello, const std::vector<int>& fds,
                                             const std::string& address, int64_t deadline, std::vector<Fd>* received);

// What this build says of itself.
std::string AgentName();

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_HANDSHAKE_H_
