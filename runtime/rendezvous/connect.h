#ifndef NEARCALL_RUNTIME_RENDEZVOUS_CONNECT_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_CONNECT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/fd.h"

namespace nearcall {

// Connects to the socket file at `path`, as PathToConnectTo gives it. The descriptor is non-blocking and closed on
// exec.
//
// Connecting to a Unix socket takes no time, unless the server's queue of connections is full: then blocks until the
// server accepts one, or to `deadline` (monotonic nanoseconds; kNever: no limit). Tries once even if that has passed.
//
// UNAVAILABLE: no server is listening there, or the queue stayed full; nothing was sent, so trying again is safe.
// PERMISSION_DENIED: this user may not connect. FAILED_PRECONDITION: it is not a stream socket. INVALID_ARGUMENT: no
// socket can have this path.
//
// Threads: thread-safe.
absl::StatusOr<Fd> ConnectUnix(const std::string& path, int64_t deadline);

// The same for a name in the abstract namespace. Anybody may have taken the name: look at CredentialsOf the result.
absl::StatusOr<Fd> ConnectAbstract(absl::string_view name, int64_t deadline);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_CONNECT_H_
