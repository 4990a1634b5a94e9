#ifndef NEARCALL_RUNTIME_RENDEZVOUS_UNIX_ADDRESS_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace nearcall {

// How long a socket's path, or its abstract name, may be: one byte of sun_path goes to the NUL behind, or before, it.
inline constexpr size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;
static_assert(kMaxSocketPath == 107);

// A socket's address as the kernel takes it.
struct UnixAddress {
  sockaddr_un raw;
  socklen_t size;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&raw); }
};

// The address of a socket file. INVALID_ARGUMENT for a path that no socket can have: empty, too long, with a NUL, or
// one that names a directory ("a/", "a/..").
absl::StatusOr<UnixAddress> PathAddress(absl::string_view path);

// The address of a name in the abstract namespace: no file, gone with its last socket. INVALID_ARGUMENT for a name that
// is empty, too long, or has control characters.
absl::StatusOr<UnixAddress> AbstractAddress(absl::string_view name);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_UNIX_ADDRESS_H_
