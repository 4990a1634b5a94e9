#ifndef NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_PATH_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_PATH_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// From the NAME of an address to the path of a socket file. A NAME with a slash is a path already. A bare NAME lives in
// the user's own directory, so that nobody else can plant a server or a file there:
//
//     $XDG_RUNTIME_DIR/nearcall/NAME.sock    where that is an absolute path to a directory that belongs to this user
//     /tmp/nearcall-UID/NAME.sock            elsewhere
//
// A runtime directory of another user (left by `su` or `sudo -E`) is not ours to use, and one that does not exist (as
// in containers) is none.
//
// Threads: thread-safe, as long as nobody changes the environment.
namespace nearcall {

// Whether a NAME has a directory of ours for it; else it is a path, whose directory is the user's own business.
bool IsBareName(absl::string_view name);

// The path for a NAME; creates and checks nothing on disk. INVALID_ARGUMENT for a NAME that cannot be one: empty, a
// path that no socket can have (see PathAddress), and for bare names also ".", ".." and control characters.
absl::StatusOr<std::string> SocketPathFor(absl::string_view name);

// For servers: the path for a NAME, ready to bind. Creates the directory of a bare name, with mode 0700.
// PERMISSION_DENIED when that directory is a link or no directory, belongs to somebody else, or lets others in.
absl::StatusOr<std::string> PathToListenOn(absl::string_view name);

// For clients: the path for a NAME, safe to connect to. For a bare name, UNAVAILABLE when the directory is missing (so
// no server has been there), and PERMISSION_DENIED when somebody other than this user and root could have put a server
// there.
absl::StatusOr<std::string> PathToConnectTo(absl::string_view name);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_PATH_H_
