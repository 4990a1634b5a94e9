#include "runtime/rendezvous/socket_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"
#include "runtime/rendezvous/unix_address.h"

namespace nearcall {
namespace {

// How often a program that does not know our lock may take the path from under us before we give up.
constexpr int kMaxRounds = 100;

absl::StatusOr<Fd> NewSocket() {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "cannot create a Unix socket");
  return fd;
}

absl::Status CannotListen(int error, const std::string& path) {
  return ErrnoStatus(error, absl::StrCat("cannot listen on ", path));
}

// Asks the kernel whether somebody listens on the socket at `path`, by connecting. OK if nobody does.
absl::Status CheckThatNobodyListens(const std::string& path) {
  absl::StatusOr<UnixAddress> address = PathAddress(path);
  if (!address.ok()) return address.status();
  absl::StatusOr<Fd> probe = NewSocket();
  if (!probe.ok()) return probe.status();
  const int error = connect(probe->get(), address->get(), address->size) == 0 ? 0 : errno;
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:  // gone meanwhile
      return absl::OkStatus();
    case 0:
    case EAGAIN:  // so many clients wait that there is no room for us
      return absl::AlreadyExistsError(absl::StrCat("a server is listening on ", path));
    case EPROTOTYPE:
      return absl::AlreadyExistsError(absl::StrCat("a program uses ", path, " as a socket of another type"));
    default:
      return ErrnoStatus(error, absl::StrCat("cannot find out whether a server is listening on ", path));
  }
}

// Makes sure that nothing is at `path`, which is `name` in `directory`; removes a socket that nobody listens on.
absl::Status MakeRoom(int directory, const std::string& name, const std::string& path) {
  struct stat before;
  if (fstatat(directory, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? absl::OkStatus() : CannotListen(errno, path);
  }
  if (!S_ISSOCK(before.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", path, ": what is there is not a socket, and is left alone"));
  }
  absl::Status status = CheckThatNobodyListens(path);
  if (!status.ok()) return status;
  struct stat after;
  if (fstatat(directory, name.c_str(), &after, AT_SYMLINK_NOFOLLOW) != 0) return absl::OkStatus();
  // A file that is another by now was not the one that we asked about: the caller sees it and comes again.
  if (FileId(after) != FileId(before)) return absl::OkStatus();
  if (unlinkat(directory, name.c_str(), 0) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno,
                       absl::StrCat("cannot listen on ", path, ": cannot remove the socket that a server left there"));
  }
  return absl::OkStatus();
}

}  // namespace

SocketFile& SocketFile::operator=(SocketFile&& other) {
  if (this == &other) return *this;
  Close();
  path_ = std::move(other.path_);
  name_ = std::move(other.name_);
  directory_ = std::move(other.directory_);
  lock_ = std::move(other.lock_);
  listener_ = std::move(other.listener_);
  id_ = other.id_;
  return *this;
}

absl::StatusOr<SocketFile> SocketFile::Bind(const std::string& path, const SocketFileOptions& options) {
  absl::StatusOr<UnixAddress> address = PathAddress(path);
  if (!address.ok()) return address.status();
  SocketFile file;
  file.path_ = path;
  file.name_ = path.substr(path.rfind('/') + 1);  // npos + 1 is 0: the whole
  absl::Status status = file.OpenDirectory();
  if (!status.ok()) return status;
  absl::StatusOr<LockFile> lock = LockFile::Acquire(file.directory_.get(), file.name_, path);
  if (!lock.ok()) return lock.status();
  file.lock_ = *std::move(lock);
  status = file.Establish(options.allow_other_users ? 0666 : 0600);
  if (!status.ok()) return status;
  return file;
}

absl::Status SocketFile::OpenDirectory() {
  const size_t slash = path_.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  directory_.reset(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (directory_.valid()) return absl::OkStatus();
  switch (errno) {
    case ENOENT:
      return absl::NotFoundError(
          absl::StrCat("cannot listen on ", path_, ": the directory ", directory, " does not exist"));
    case ENOTDIR:
      return absl::FailedPreconditionError(absl::StrCat("cannot listen on ", path_, ": ", directory,
                                                        " is, or goes through, something that is no directory"));
    default:
      return ErrnoStatus(errno, absl::StrCat("cannot listen on ", path_, ": cannot open the directory ", directory));
  }
}

// Holds the lock, so no other server of this framework touches the files meanwhile.
absl::Status SocketFile::Establish(mode_t mode) {
  // One fixed name per lock, so that what a killed server left is found and removed. Where PATH.new is too long for a
  // socket, the number of the lock file is as good a name, and /proc a short way to the directory.
  std::string temporary = absl::StrCat(name_, ".new");
  std::string temporary_path = absl::StrCat(path_, ".new");
  if (temporary_path.size() > kMaxSocketPath) {
    temporary = absl::StrCat(".", lock_.id().inode);
    temporary_path = absl::StrCat("/proc/self/fd/", directory_.get(), "/", temporary);
  }
  absl::Status status = MakeRoom(directory_.get(), temporary, temporary_path);
  // Before anything is made: a refused server leaves no trace.
  if (status.ok()) status = MakeRoom(directory_.get(), name_, path_);
  if (!status.ok()) return status;
  status = ListenAt(temporary, temporary_path, mode);
  if (status.ok()) status = MoveIntoPlace(temporary);
  if (!status.ok() && listener_.valid()) unlinkat(directory_.get(), temporary.c_str(), 0);  // ours
  return status;
}

absl::Status SocketFile::ListenAt(const std::string& name, const std::string& path, mode_t mode) {
  absl::StatusOr<UnixAddress> address = PathAddress(path);
  if (!address.ok()) return address.status();
  absl::StatusOr<Fd> socket = NewSocket();
  if (!socket.ok()) return socket.status();
  // Linux gives the file the mode of the socket, less the umask: never wider than asked for, not even for a moment, and
  // without a touch to the umask, which is the whole process's.
  if (fchmod(socket->get(), mode) != 0 || bind(socket->get(), address->get(), address->size) != 0) {
    return CannotListen(errno, path_);
  }
  listener_ = *std::move(socket);
  struct stat info;
  if (fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return CannotListen(errno, path_);
  if ((info.st_mode & 07777) != mode && fchmodat(directory_.get(), name.c_str(), mode, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot listen on ", path_, ": cannot change the mode of the socket"));
  }
  id_ = FileId(info);
  return listen(listener_.get(), SOMAXCONN) == 0 ? absl::OkStatus() : CannotListen(errno, path_);
}

absl::Status SocketFile::MoveIntoPlace(const std::string& temporary) const {
  for (int round = 0; round < kMaxRounds; ++round) {
    absl::Status status = MakeRoom(directory_.get(), name_, path_);
    if (!status.ok()) return status;
    if (renameat2(directory_.get(), temporary.c_str(), directory_.get(), name_.c_str(), RENAME_NOREPLACE) == 0) {
      return absl::OkStatus();
    }
    // Somebody who does not know our lock was faster: look what it is.
    if (errno == EEXIST) continue;
    // A file system without RENAME_NOREPLACE: our own servers are kept apart by the lock all the same.
    if (errno == EINVAL && renameat(directory_.get(), temporary.c_str(), directory_.get(), name_.c_str()) == 0) {
      return absl::OkStatus();
    }
    return CannotListen(errno, path_);
  }
  return absl::AlreadyExistsError(
      absl::StrCat("cannot listen on ", path_, ": another program makes it again and again"));
}

void SocketFile::Close() {
  if (listener_.valid() && !lock_.inherited()) {
    struct stat info;
    if (fstatat(directory_.get(), name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && FileId(info) == id_) {
      unlinkat(directory_.get(), name_.c_str(), 0);
    }
  }
  listener_.reset();
  // Last: whoever gets the lock finds us gone.
  lock_.Release();
  directory_.reset();
}

absl::StatusOr<Fd> BindAbstract(absl::string_view name) {
  absl::StatusOr<UnixAddress> address = AbstractAddress(name);
  if (!address.ok()) return address.status();
  absl::StatusOr<Fd> socket = NewSocket();
  if (!socket.ok()) return socket;
  if (bind(socket->get(), address->get(), address->size) != 0 || listen(socket->get(), SOMAXCONN) != 0) {
    if (errno == EADDRINUSE) {
      return absl::AlreadyExistsError(absl::StrCat("a server is listening on unix-abstract:", name));
    }
    return CannotListen(errno, absl::StrCat("unix-abstract:", name));
  }
  return socket;
}

}  // namespace nearcall
