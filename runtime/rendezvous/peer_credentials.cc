#include "runtime/rendezvous/peer_credentials.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"

namespace nearcall {

absl::StatusOr<PeerCredentials> CredentialsOf(int fd) {
  ucred credentials;
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    if (errno == ENOTSOCK) return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " is not a socket"));
    return ErrnoStatus(errno, absl::StrCat("cannot learn who is connected to descriptor ", fd));
  }
  // What the kernel says for any socket that has no credentials.
  if (credentials.uid == static_cast<uid_t>(-1)) {
    return absl::FailedPreconditionError(absl::StrCat("descriptor ", fd, " is not a connected Unix socket"));
  }
  return PeerCredentials{credentials.uid, credentials.gid, credentials.pid};
}

bool IsSameUserOrRoot(const PeerCredentials& credentials) {
  return credentials.uid == 0 || credentials.uid == geteuid();
}

}  // namespace nearcall
