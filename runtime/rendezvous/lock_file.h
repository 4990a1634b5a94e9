#ifndef NEARCALL_RUNTIME_RENDEZVOUS_LOCK_FILE_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_LOCK_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "runtime/base/fd.h"
#include "runtime/rendezvous/file_id.h"

namespace nearcall {

// The exclusive right to a name in a directory: an empty file under flock. The kernel frees it when its holder dies,
// however it dies; an orderly release removes the file as well.
//
// A removed file makes this delicate: somebody may have opened it before, and lock it after, and would then hold a file
// that the next comer does not find. So only the holder removes it, and a lock counts only if the locked file is still
// the one that the name stands for.
//
// The lock belongs to the open file, which forked children share: it is free once all of them have closed it. exec
// closes it. A child that does not exec keeps the lock alive after its parent was killed (as it keeps the listening
// socket), but not after an orderly release, and its own copy of this object removes nothing.
//
// Threads: thread-compatible. Never blocks.
class LockFile {
 public:
  LockFile() = default;  // holds nothing
  LockFile(LockFile&&) = default;
  LockFile& operator=(LockFile&& other);
  ~LockFile() { Release(); }

  // Takes the lock of `path`, of which `name` is the part in `directory`; the directory outlives the lock.
  // ALREADY_EXISTS when somebody holds it, this process included. FAILED_PRECONDITION when something else than a
  // regular file, such as a link, has its place. PERMISSION_DENIED when it belongs to another user (root minds not).
  static absl::StatusOr<LockFile> Acquire(int directory, const std::string& name, const std::string& path);
  void Release();

  bool held() const { return fd_.valid(); }
  // Whether this is a copy that fork made, so that what the lock protects is the parent's.
  bool inherited() const;
  // Of the lock file.
  FileId id() const { return id_; }

 private:
  LockFile(int directory, std::string name, Fd fd, FileId id);

  int directory_ = -1;
  std::string name_;
  Fd fd_;
  FileId id_;
  pid_t owner_ = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_LOCK_FILE_H_
