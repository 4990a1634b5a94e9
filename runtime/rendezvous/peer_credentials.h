#ifndef NEARCALL_RUNTIME_RENDEZVOUS_PEER_CREDENTIALS_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_PEER_CREDENTIALS_H_

#include "absl/status/statusor.h"
#include "nearcall/peer.h"

namespace nearcall {

// Who is at the other end of a connected Unix socket, as the kernel says (SO_PEERCRED): who connected, when it did, or
// who called listen, when it did. So they outlive an exec, a setuid and the process itself, and a forked child that
// took the connection over does not show. The pid is 0 for a process outside of our pid namespace. FAILED_PRECONDITION
// for a descriptor that has no such peer: not connected, or no Unix socket.
//
// Threads: thread-safe. Never blocks.
absl::StatusOr<PeerCredentials> CredentialsOf(int fd);

// Whether that is somebody to trust by default: this process's user, or root.
bool IsSameUserOrRoot(const PeerCredentials& credentials);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_PEER_CREDENTIALS_H_
