#include "runtime/stream/handshake.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/clock.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/fd_passing.h"
#include "runtime/base/step.h"
#include "runtime/wire/frame.h"

namespace nearcall {

std::string AgentName() { return "nearcall-c++/0.1"; }

HandshakeReader::Progress HandshakeReader::Read(int fd) {
  for (;;) {
    if (bytes_.size() == wanted_) {
      if (wanted_ > kHeaderSize) return Progress::kDone;
      const FrameHeader header = LoadHeader(bytes_.data());
      if (header.kind != kind_ || header.extra != kMagic) {
        return Fail(absl::InternalError("the other side does not speak nearcall"));
      }
      if (const FrameError error = ValidateHeader(header, kMaxHandshakeFrameSize); error != FrameError::kNone) {
        return Fail(absl::InternalError(absl::StrCat("the other side began with ", FrameErrorText(error))));
      }
      wanted_ = header.size;
      if (wanted_ == kHeaderSize) return Progress::kDone;
    }
    const size_t had = bytes_.size();
    bytes_.resize(wanted_);
    bool truncated = false;
    const ssize_t got = ReceiveBytesAndFds(fd, bytes_.data() + had, wanted_ - had, kMaxPassedFds, &fds_, &truncated);
    const int error = errno;
    bytes_.resize(had + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) {
      if (error == EAGAIN || error == EWOULDBLOCK) return Progress::kMore;
      return Fail(ErrnoStatus(error, "handshake"));
    }
    NEARCALL_STEP("handshake.read");
    if (truncated || fds_.size() > kMaxPassedFds) {
      return Fail(absl::ResourceExhaustedError(
          "a handshake brought more descriptors than fit: too many were sent, or this process has none left"));
    }
    if (got == 0) return Fail(absl::UnavailableError("the other side closed the connection during the handshake"));
  }
}

HandshakeReader::Progress HandshakeReader::Fail(absl::Status status) {
  status_ = std::move(status);
  fds_.clear();
  return Progress::kFailed;
}

bool HandshakeReader::Parse(google::protobuf::MessageLite* message) const {
  return message->ParseFromArray(bytes_.data() + kHeaderSize, static_cast<int>(bytes_.size() - kHeaderSize));
}

std::string HandshakeFrame(uint8_t kind, const google::protobuf::MessageLite& message) {
  std::string bytes(kHeaderSize, '\0');
  message.AppendToString(&bytes);
  FrameHeader header{};
  header.size = static_cast<uint32_t>(bytes.size());
  header.kind = kind;
  header.extra = kMagic;
  std::memcpy(bytes.data(), &header, kHeaderSize);
  return bytes;
}

absl::Status SendWithFds(int fd, const std::string& bytes, const std::vector<int>& fds) {
  size_t done = 0;
  do {
    const size_t count = done == 0 ? fds.size() : 0;
    const ssize_t sent = SendBytesAndFds(fd, bytes.data() + done, bytes.size() - done, fds.data(), count);
    if (sent < 0) return absl::UnavailableError(ErrnoStatus(errno, "handshake").message());
    done += static_cast<size_t>(sent);
  } while (done < bytes.size());
  return absl::OkStatus();
}

absl::StatusOr<protocol::Welcome> ShakeHands(int fd, const protocol::Hello& hello, const std::vector<int>& fds,
                                             const std::string& address, int64_t deadline, std::vector<Fd>* received) {
  absl::Status sent = SendWithFds(fd, HandshakeFrame(static_cast<uint8_t>(FrameKind::kHello), hello), fds);
  NEARCALL_STEP("handshake.hello_sent");
  // A server that refuses without listening may be gone before we have spoken: what it said is worth reading.
  HandshakeReader reader(static_cast<uint8_t>(FrameKind::kWelcome));
  for (;;) {
    const HandshakeReader::Progress progress = reader.Read(fd);
    if (progress != HandshakeReader::Progress::kDone && !sent.ok()) {
      return absl::UnavailableError(absl::StrCat(address, ": ", sent.message()));
    }
    if (progress == HandshakeReader::Progress::kFailed) {
      return absl::Status(reader.status().code(), absl::StrCat(address, ": ", reader.status().message()));
    }
    if (progress == HandshakeReader::Progress::kDone) break;
    pollfd poll_fd{fd, POLLIN, 0};
    int millis = -1;
    if (deadline != kNever) {
      const int64_t left = deadline - MonotonicNanos();
      if (left <= 0) {
        return absl::UnavailableError(absl::StrCat(address, ": the server did not answer the handshake in time"));
      }
      millis = static_cast<int>(std::min<int64_t>(left / 1'000'000 + 1, INT_MAX));
    }
    poll(&poll_fd, 1, millis);
  }
  protocol::Welcome welcome;
  if (!reader.Parse(&welcome)) return absl::InternalError(absl::StrCat(address, ": the WELCOME cannot be parsed"));
  if (welcome.code() != 0) {
    const absl::StatusCode code =
        welcome.code() <= 16 ? static_cast<absl::StatusCode>(welcome.code()) : absl::StatusCode::kUnknown;
    return absl::Status(code, absl::StrCat(address, ": ", welcome.message()));
  }
  if (welcome.version() < hello.min_version() || welcome.version() > hello.max_version()) {
    return absl::InternalError(
        absl::StrCat(address, ": the server chose protocol version ", welcome.version(), ", which was not offered"));
  }
  *received = std::move(reader.fds());
  return welcome;
}

}  // namespace nearcall
