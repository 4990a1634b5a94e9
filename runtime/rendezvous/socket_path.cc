#include "runtime/rendezvous/socket_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/fd.h"
#include "runtime/rendezvous/unix_address.h"

namespace nearcall {
namespace {

// Where this user's bare names live.
std::string DirectoryOfNames() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  struct stat info;
  if (runtime != nullptr && runtime[0] == '/' && stat(runtime, &info) == 0 && S_ISDIR(info.st_mode) &&
      info.st_uid == geteuid()) {
    return absl::StrCat(runtime, "/nearcall");
  }
  return absl::StrCat("/tmp/nearcall-", geteuid());
}

absl::Status CheckBareName(absl::string_view name) {
  if (name == "." || name == "..") {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" cannot be the name of a socket"));
  }
  for (const char c : name) {
    if (!absl::ascii_iscntrl(static_cast<unsigned char>(c))) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("socket name \"", absl::Utf8SafeCEscape(name), "\" has a control character in it"));
  }
  return absl::OkStatus();
}

std::string DirectoryPartOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Opens a directory of bare names itself, never what a link points to: what is then learnt from the descriptor holds
// for the path too, because in /tmp (sticky) and in the runtime directory only the owner may move what is found to be
// his.
absl::StatusOr<Fd> OpenDirectory(const std::string& directory) {
  Fd fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.valid()) return fd;
  if (errno == ELOOP || errno == ENOTDIR) {
    return absl::PermissionDeniedError(absl::StrCat(
        directory, " is a link or not a directory: remove it, nearcall's sockets go into a directory there"));
  }
  return ErrnoStatus(errno, absl::StrCat("cannot open the directory ", directory));
}

absl::Status CheckDirectory(const std::string& directory, const Fd& fd, bool root_may_own, mode_t forbidden) {
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot examine the directory ", directory));
  if (info.st_uid != geteuid() && !(root_may_own && info.st_uid == 0)) {
    return absl::PermissionDeniedError(absl::StrCat("the directory ", directory, " belongs to user ", info.st_uid,
                                                    ", not to user ", geteuid(), ": its sockets cannot be trusted"));
  }
  if ((info.st_mode & forbidden) != 0) {
    return absl::PermissionDeniedError(
        absl::StrFormat("the directory %s has mode %04o, which lets other users in: chmod "
                        "700 it, once you trust what is there",
                        directory, info.st_mode & 07777));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsBareName(absl::string_view name) { return !absl::StrContains(name, '/'); }

absl::StatusOr<std::string> SocketPathFor(absl::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("the name of a socket is empty");
  std::string path(name);
  if (IsBareName(name)) {
    absl::Status status = CheckBareName(name);
    if (!status.ok()) return status;
    path = absl::StrCat(DirectoryOfNames(), "/", name, ".sock");
  }
  absl::StatusOr<UnixAddress> address = PathAddress(path);
  if (!address.ok()) return address.status();
  return path;
}

absl::StatusOr<std::string> PathToListenOn(absl::string_view name) {
  absl::StatusOr<std::string> path = SocketPathFor(name);
  if (!path.ok() || !IsBareName(name)) return path;
  const std::string directory = DirectoryPartOf(*path);
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot create the directory ", directory));
  }
  absl::StatusOr<Fd> fd = OpenDirectory(directory);
  if (!fd.ok()) return fd.status();
  // Others need no more than to search the directory to reach a socket: so not even that.
  absl::Status status = CheckDirectory(directory, *fd, /*root_may_own=*/false, /*forbidden=*/077);
  if (!status.ok()) return status;
  return path;
}

absl::StatusOr<std::string> PathToConnectTo(absl::string_view name) {
  absl::StatusOr<std::string> path = SocketPathFor(name);
  if (!path.ok() || !IsBareName(name)) return path;
  const std::string directory = DirectoryPartOf(*path);
  absl::StatusOr<Fd> fd = OpenDirectory(directory);
  if (absl::IsUnavailable(fd.status())) {
    return absl::UnavailableError(absl::StrCat("no server is listening on ", *path, ": ", fd.status().message()));
  }
  if (!fd.ok()) return fd.status();
  // A client cares only for who may put a server there.
  absl::Status status = CheckDirectory(directory, *fd, /*root_may_own=*/true, /*forbidden=*/022);
  if (!status.ok()) return status;
  return path;
}

}  // namespace nearcall
