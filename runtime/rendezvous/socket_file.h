#ifndef NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_FILE_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/fd.h"
#include "runtime/rendezvous/file_id.h"
#include "runtime/rendezvous/lock_file.h"

namespace nearcall {

struct SocketFileOptions {
  // Mode 0666 instead of 0600. The directory must let other users in as well, which that of a bare name never does.
  bool allow_other_users = false;
};

// A server's place in the file system: a Unix stream socket that listens at a path, non-blocking. A client that finds
// it can connect at once, and its mode is right from the first moment; at most one process has the path.
//
//     PATH         the socket; appears when it listens already, goes with Close
//     PATH.lock    held for as long as this object lives, so that of two servers that start at once one gives up
//     PATH.new     the socket before it gets its name; only while Bind runs
//
// A socket file that a killed server left is taken over, and so are the other two. The kernel knows the socket by the
// name that it was bound to first: getsockname, getpeername and `ss` say PATH.new, so use path().
//
// Threads: thread-compatible. Owns the socket, the lock, and a descriptor of the directory, so that it finds its files
// again after a chdir. All are closed on exec; a forked child that does not exec shares them (see LockFile), and its
// copy of this object removes nothing. Never blocks.
class SocketFile {
 public:
  SocketFile() = default;  // bound to nothing
  SocketFile(SocketFile&&) = default;
  SocketFile& operator=(SocketFile&& other);
  ~SocketFile() { Close(); }

  // INVALID_ARGUMENT: no socket can have this path (see PathAddress).
  // ALREADY_EXISTS: a server is listening there, whatever program it is; it is left alone.
  // FAILED_PRECONDITION: a file, link or directory is there, which is left alone; or the directory is none.
  // NOT_FOUND: the directory does not exist.
  // PERMISSION_DENIED: the directory may not be written to, or the lock or stale socket is another user's.
  static absl::StatusOr<SocketFile> Bind(const std::string& path, const SocketFileOptions& options = {});
  // Stops listening and removes the files, those of them that are still ours. Does nothing the second time.
  void Close();

  // The listening socket; -1 when closed.
  int fd() const { return listener_.get(); }
  const std::string& path() const { return path_; }

 private:
  absl::Status OpenDirectory();
  absl::Status ListenAt(const std::string& name, const std::string& path, mode_t mode);
  absl::Status MoveIntoPlace(const std::string& temporary) const;
  absl::Status Establish(mode_t mode);

  std::string path_;
  std::string name_;  // of the file in its directory
  Fd directory_;      // outlives lock_
  LockFile lock_;
  Fd listener_;
  FileId id_;  // of the socket file; the numbers stay taken while listener_ is open
};

// Listens on a name in the abstract namespace: no file, no mode. Every process in the network namespace may connect,
// and may take the name first, so both ends must look at CredentialsOf the other. INVALID_ARGUMENT for a name that
// cannot be one; ALREADY_EXISTS when a server has it.
absl::StatusOr<Fd> BindAbstract(absl::string_view name);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_FILE_H_
