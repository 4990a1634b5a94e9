#include "runtime/rendezvous/connect.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/clock.h"
#include "runtime/base/errno_status.h"
#include "runtime/rendezvous/unix_address.h"

namespace nearcall {
namespace {

absl::Status CannotConnect(int error, absl::string_view where) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
      return ErrnoStatus(error, absl::StrCat("no server is listening on ", where));
    case EAGAIN:
      return absl::UnavailableError(
          absl::StrCat("the server on ", where, " accepts no connections: its queue stayed full until the deadline"));
    case EPROTOTYPE:
      return absl::FailedPreconditionError(absl::StrCat(where, " is a socket of another type than a stream"));
    default:
      return ErrnoStatus(error, absl::StrCat("cannot connect to ", where));
  }
}

// Limits how long a blocking connect may take. False when the time is up.
bool SetTimeLimit(int fd, int64_t deadline) {
  timeval limit = {};  // none
  if (deadline != kNever) {
    const int64_t left = deadline - MonotonicNanos();
    if (left <= 0) return false;
    limit.tv_sec = left / 1'000'000'000;
    limit.tv_usec = std::max<int64_t>(left % 1'000'000'000 / 1000, limit.tv_sec == 0);  // zero would mean none
  }
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return true;
}

// The queue is full. No poll tells when it has room again, but a blocking connect waits for just that, up to
// SO_SNDTIMEO. Returns 0 or an errno; leaves the descriptor non-blocking.
int ConnectToBusyServer(int fd, const UnixAddress& address, int64_t deadline) {
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
  int error = EAGAIN;
  while ((error == EAGAIN || error == EINTR) && SetTimeLimit(fd, deadline)) {
    error = connect(fd, address.get(), address.size) == 0 ? 0 : errno;
  }
  fcntl(fd, F_SETFL, flags);
  SetTimeLimit(fd, kNever);
  return error == EINTR ? EAGAIN : error;
}

absl::StatusOr<Fd> Connect(const UnixAddress& address, absl::string_view where, int64_t deadline) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot create a Unix socket");
  int error = connect(fd.get(), address.get(), address.size) == 0 ? 0 : errno;
  if (error == EAGAIN) error = ConnectToBusyServer(fd.get(), address, deadline);
  if (error != 0) return CannotConnect(error, where);
  return fd;
}

}  // namespace

absl::StatusOr<Fd> ConnectUnix(const std::string& path, int64_t deadline) {
  absl::StatusOr<UnixAddress> address = PathAddress(path);
  if (!address.ok()) return address.status();
  return Connect(*address, path, deadline);
}

absl::StatusOr<Fd> ConnectAbstract(absl::string_view name, int64_t deadline) {
  absl::StatusOr<UnixAddress> address = AbstractAddress(name);
  if (!address.ok()) return address.status();
  return Connect(*address, absl::StrCat("unix-abstract:", name), deadline);
}

}  // namespace nearcall
