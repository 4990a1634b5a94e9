#include "runtime/stream/stream_wire.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/fd_passing.h"
#include "runtime/base/step.h"

namespace nearcall {

void ByteBuffer::Reserve(size_t size) {
  if (capacity_ - end_ >= size) return;
  const size_t used = end_ - begin_;
  if (capacity_ - used >= size) {
    std::memmove(data_.get(), data_.get() + begin_, used);
  } else {
    const size_t capacity = std::max({kInitialCapacity, capacity_ * 2, used + size});
    std::unique_ptr<uint8_t[]> data(new uint8_t[capacity]);
    if (used != 0) std::memcpy(data.get(), data_.get() + begin_, used);
    data_ = std::move(data);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = used;
}

void ByteBuffer::Shrink() {
  if (!empty() || capacity_ <= kInitialCapacity) return;
  data_.reset();
  capacity_ = 0;
}

namespace {

bool IsUnixSocket(const Fd& fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  return getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

}  // namespace

StreamWire::StreamWire(Fd fd, std::string what)
    : fd_(std::move(fd)), what_(std::move(what)), passes_fds_(IsUnixSocket(fd_)) {}

uint8_t* StreamWire::Claim(size_t size) {
  if (!out_.empty() && out_.size() + size > kMaxUnflushed) return nullptr;
  out_.Reserve(size);
  return out_.end();
}

ssize_t StreamWire::Write(const uint8_t* bytes, size_t size) {
  if (!out_fd_.valid()) return send(fd_.get(), bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  const int raw_fd = out_fd_.get();
  const ssize_t sent = SendBytesAndFds(fd_.get(), bytes, size, &raw_fd, 1);
  if (sent > 0) out_fd_ = internal::SharedFd();
  return sent;
}

bool StreamWire::Flush() {
  while (!out_.empty()) {
    if (broken_) {
      out_.Take(out_.size());  // the receiving side finds out why
      break;
    }
    NEARCALL_STEP("socket.flush");
    const ssize_t sent = Write(out_.begin(), out_.size());
    if (sent > 0) {
      NEARCALL_STEP("socket.flushed");
      out_.Take(static_cast<size_t>(sent));
    } else if (sent < 0 && errno == EINTR) {
      continue;
    } else if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      unflushed_.store(true, std::memory_order_relaxed);
      return false;
    } else {
      broken_ = true;
      // Where the peer is gone the receiving side hears of it; where only the kernel refuses, it must be told.
      if (errno != EPIPE && errno != ECONNRESET) Shutdown();
    }
  }
  if (unflushed_.load(std::memory_order_relaxed)) unflushed_.store(false, std::memory_order_relaxed);
  return true;
}

Received StreamWire::Receive(Frame* frame) {
  for (;;) {
    if (in_.size() >= kHeaderSize) {
      const FrameHeader header = LoadHeader(in_.begin());
      if (const FrameError error = ValidateHeader(header, kMaxFrameSize); error != FrameError::kNone) {
        return Fail(absl::InternalError(absl::StrCat(what_, " sent ", FrameErrorText(error))));
      }
      if (in_.size() >= header.size) {
        NEARCALL_STEP("socket.receive.frame");
        frame->header = header;
        frame->payload = in_.begin() + kHeaderSize;
        current_ = header.size;
        return Received::kFrame;
      }
      in_.Reserve(header.size - in_.size());
    }
    bool again = false;
    const Received received = ReadMore(&again);
    if (!again) return received;
  }
}

// Reading with room for descriptors costs two fifths more, in each look, and few connections ever pass any.
ssize_t StreamWire::Read(uint8_t* to, size_t room) {
  if (!expects_fds_) return recv(fd_.get(), to, room, MSG_DONTWAIT);
  std::vector<Fd> fds;
  bool truncated = false;
  const ssize_t got = ReceiveBytesAndFds(fd_.get(), to, room, 1, &fds, &truncated);
  if (!fds.empty()) {
    in_fds_.push_back({std::move(fds.front()), false});
  } else if (truncated) {
    in_fds_.push_back({Fd(), /*lost=*/true});
  }
  return got;
}

bool StreamWire::ReadyForFd() {
  switch (asked_.load(std::memory_order_relaxed)) {
    case Asked::kNo:
      if (uint8_t* const room = Claim(kHeaderSize)) {
        FrameHeader header{};
        header.kind = static_cast<uint8_t>(FrameKind::kFdPassing);
        header.detail = static_cast<uint16_t>(FdPassing::kWanted);
        std::memcpy(room, &header, sizeof header);
        Commit(sizeof header);
        asked_.store(Asked::kYes, std::memory_order_relaxed);
      }
      return false;
    case Asked::kYes:
      return false;
    case Asked::kAnswered:
      break;
  }
  return out_.empty() || Flush();
}

bool StreamWire::OnFdPassing(FdPassing passing) {
  if (passing == FdPassing::kWanted) return passes_fds_ && !std::exchange(expects_fds_, true);
  Asked asked = Asked::kYes;
  return asked_.compare_exchange_strong(asked, Asked::kAnswered, std::memory_order_relaxed);
}

ReceivedFd StreamWire::TakeFd() {
  if (in_fds_.empty()) return {};
  ReceivedFd first = std::move(in_fds_.front());
  in_fds_.erase(in_fds_.begin());
  return first;
}

// Reads what there is, at most once a look: when the last read took all there was, the next look says so without
// asking.
Received StreamWire::ReadMore(bool* again) {
  if (std::exchange(drained_, false)) return Received::kNothing;
  // Small at first; what fills that is worth more.
  if (in_.room() == 0) in_.Reserve(in_.empty() ? 1 : kReadSize);
  const size_t room = in_.room();
  ssize_t got;
  do {
    got = Read(in_.end(), room);
  } while (got < 0 && errno == EINTR);
  if (got > 0) {
    NEARCALL_STEP("socket.read");
    if (in_fds_.size() > kMaxWaitingFds) {
      return Fail(absl::InternalError(absl::StrCat(what_, " sent file descriptors that no frame asks for")));
    }
    in_.Add(static_cast<size_t>(got));
    drained_ = static_cast<size_t>(got) < room;
    *again = true;
    return Received::kFrame;
  }
  if (got == 0) {
    return Fail(absl::UnavailableError(absl::StrCat("the connection to ", what_, " was closed by the other side")));
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Received::kNothing;
  absl::Status failure = ErrnoStatus(errno, absl::StrCat("the connection to ", what_));
  return Fail(absl::UnavailableError(failure.message()));
}

Received StreamWire::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
  return Received::kClosed;
}

void StreamWire::Shutdown() { shutdown(fd_.get(), SHUT_RDWR); }

}  // namespace nearcall
