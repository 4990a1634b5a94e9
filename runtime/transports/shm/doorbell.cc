#include "runtime/transports/shm/doorbell.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"

namespace nearcall {

absl::StatusOr<Doorbell> Doorbell::Create() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoStatus(errno, "creating a doorbell (pipe2)");
  Doorbell bell{Fd(ends[0]), Fd(ends[1])};
  // A pipe is its maker's alone to open, and the ringer may be another user. Who has no descriptor has no way to it.
  if (fchmod(ends[1], 0666) != 0) return ErrnoStatus(errno, "creating a doorbell (fchmod)");
  return bell;
}

void Doorbell::Silence() {
  char rings[256];
  while (read(reading_.get(), rings, sizeof rings) == static_cast<ssize_t>(sizeof rings)) {
  }
}

absl::StatusOr<Ringer> Ringer::Open(Fd fd) {
  // Asking the descriptor itself what it is (fstat) could block on a hostile file system; its name cannot lie: those
  // that do not begin with a slash are the kernel's own.
  const std::string path = absl::StrCat("/proc/self/fd/", fd.get());
  char name[64];
  const ssize_t length = readlink(path.c_str(), name, sizeof name);
  if (length < 0) return ErrnoStatus(errno, absl::StrCat("the peer's doorbell: reading ", path));
  if (!absl::StartsWith(absl::string_view(name, static_cast<size_t>(length)), "pipe:[")) {
    return absl::InvalidArgumentError("the peer's doorbell is not a pipe");
  }
  // For reading, too: with a reader of its own a ring never raises SIGPIPE, even when the sleeper is gone.
  Fd own(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!own.valid()) return ErrnoStatus(errno, absl::StrCat("the peer's doorbell: opening ", path));
  return Ringer(std::move(own));
}

void Ringer::Ring() const {
  const char ring = 1;
  [[maybe_unused]] const ssize_t written = write(fd_.get(), &ring, 1);
}

}  // namespace nearcall
