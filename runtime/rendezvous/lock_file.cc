#include "runtime/rendezvous/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"

namespace nearcall {
namespace {

// Each further round means that another server has come and gone meanwhile; so many means that the file system does not
// keep its inode numbers.
constexpr int kMaxRounds = 1000;

absl::Status CannotOpen(int error, const std::string& path) {
  switch (error) {
    case ELOOP:   // a link
    case EISDIR:  // a directory
    case ENXIO:   // a socket
      return absl::FailedPreconditionError(absl::StrCat(
          "cannot listen on ", path, ": ", path, ".lock is in the way, for it is not a regular file: remove it"));
    case EROFS:
      return absl::FailedPreconditionError(absl::StrCat("cannot listen on ", path, ": its file system is read-only"));
    default:
      return ErrnoStatus(error, absl::StrCat("cannot listen on ", path, ": cannot open ", path, ".lock"));
  }
}

// Opens the file and locks it. What was locked may be a file that the name does not stand for any more.
absl::StatusOr<Fd> OpenAndLock(int directory, const std::string& name, const std::string& path, struct stat* info) {
  // O_NONBLOCK, lest somebody's planted FIFO or device blocks us.
  Fd fd(openat(directory, name.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!fd.valid()) return CannotOpen(errno, path);
  if (fstat(fd.get(), info) != 0) return ErrnoStatus(errno, absl::StrCat("cannot examine ", path, ".lock"));
  if (!S_ISREG(info->st_mode)) return CannotOpen(ELOOP, path);
  if (info->st_uid != geteuid() && geteuid() != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot listen on ", path, ": ", path, ".lock belongs to user ", info->st_uid));
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) {
    return absl::AlreadyExistsError(absl::StrCat("a server is listening on ", path, ": it holds ", path, ".lock"));
  }
  return ErrnoStatus(errno, absl::StrCat("cannot lock ", path, ".lock"));
}

bool IsStill(const FileId& id, int directory, const std::string& name) {
  struct stat info;
  return fstatat(directory, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && FileId(info) == id;
}

}  // namespace

LockFile::LockFile(int directory, std::string name, Fd fd, FileId id)
    : directory_(directory), name_(std::move(name)), fd_(std::move(fd)), id_(id), owner_(getpid()) {}

LockFile& LockFile::operator=(LockFile&& other) {
  if (this == &other) return *this;
  Release();
  directory_ = other.directory_;
  name_ = std::move(other.name_);
  fd_ = std::move(other.fd_);
  id_ = other.id_;
  owner_ = other.owner_;
  return *this;
}

absl::StatusOr<LockFile> LockFile::Acquire(int directory, const std::string& name, const std::string& path) {
  const std::string lock_name = absl::StrCat(name, ".lock");
  for (int round = 0; round < kMaxRounds; ++round) {
    struct stat info;
    absl::StatusOr<Fd> fd = OpenAndLock(directory, lock_name, path, &info);
    if (!fd.ok()) return fd.status();
    if (IsStill(FileId(info), directory, lock_name)) {
      return LockFile(directory, lock_name, *std::move(fd), FileId(info));
    }
  }
  return absl::InternalError(absl::StrCat("cannot lock ", path, ".lock: it is replaced all the time"));
}

void LockFile::Release() {
  if (!held()) return;
  // While we hold it nobody else may replace it; it differs only if somebody has broken that rule.
  if (!inherited() && IsStill(id_, directory_, name_)) unlinkat(directory_, name_.c_str(), 0);
  fd_.reset();
}

bool LockFile::inherited() const { return held() && owner_ != getpid(); }

}  // namespace nearcall
