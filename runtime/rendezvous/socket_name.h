#ifndef NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_NAME_H_
#define NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_NAME_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>

namespace nearcall {

// A socket's own address, or its peer's, as the kernel tells it.
class SocketName {
 public:
  static SocketName OfSelf(int fd);
  static SocketName OfPeer(int fd);
  // One that a resolver gave.
  explicit SocketName(const sockaddr* address, socklen_t size);

  bool is_inet() const { return family() == AF_INET || family() == AF_INET6; }
  bool is_unix() const { return family() == AF_UNIX; }
  // Of an inet socket: whether only this machine can reach it.
  bool is_loopback() const;
  // Of an inet socket.
  int port() const;
  // In nearcall's form: "tcp:127.0.0.1:80", "tcp:[::1]:80", "unix:/run/x.sock", "unix-abstract:x"; empty for a socket that
  // has no name, or one of another kind.
  std::string ToAddress() const;

 private:
  SocketName() = default;
  int family() const { return storage_.generic.ss_family; }

  union {
    sockaddr_storage generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } storage_{};
  socklen_t size_ = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_RENDEZVOUS_SOCKET_NAME_H_
