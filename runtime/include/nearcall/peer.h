#ifndef NEARCALL_PEER_H_
#define NEARCALL_PEER_H_

#include <sys/types.h>

#include <string>

#include "absl/types/optional.h"

namespace nearcall {

// Who is at the other end of a connection, as the kernel (never the peer) says.
struct PeerCredentials {
  uid_t uid;
  gid_t gid;
  pid_t pid;
};

// One end of a connection as the other sees it.
struct Peer {
  std::string transport;  // what carries the call: "shm", "unix", "tcp", "inproc", "grpc"
  std::string address;    // the address in nearcall's form: "unix:/run/x.sock", "tcp:127.0.0.1:4711"
  // Of the process that connected; nullopt where the mechanism cannot tell (tcp, grpc).
  absl::optional<PeerCredentials> credentials;
};

}  // namespace nearcall

#endif  // NEARCALL_PEER_H_
