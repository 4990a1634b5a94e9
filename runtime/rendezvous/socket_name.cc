#include "runtime/rendezvous/socket_name.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace nearcall {

SocketName SocketName::OfSelf(int fd) {
  SocketName name;
  name.size_ = sizeof name.storage_;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name.storage_), &name.size_) != 0) return SocketName();
  return name;
}

SocketName SocketName::OfPeer(int fd) {
  SocketName name;
  name.size_ = sizeof name.storage_;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&name.storage_), &name.size_) != 0) return SocketName();
  return name;
}

SocketName::SocketName(const sockaddr* address, socklen_t size)
    : size_(std::min<socklen_t>(size, sizeof storage_)) {
  std::memcpy(&storage_, address, size_);
}

bool SocketName::is_loopback() const {
  if (family() == AF_INET) return (ntohl(storage_.v4.sin_addr.s_addr) >> 24) == 127;
  return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&storage_.v6.sin6_addr);
}

int SocketName::port() const { return ntohs(family() == AF_INET6 ? storage_.v6.sin6_port : storage_.v4.sin_port); }

std::string SocketName::ToAddress() const {
  char text[INET6_ADDRSTRLEN] = "";
  switch (family()) {
    case AF_INET:
      inet_ntop(AF_INET, &storage_.v4.sin_addr, text, sizeof text);
      return absl::StrCat("tcp:", text, ":", port());
    case AF_INET6:
      inet_ntop(AF_INET6, &storage_.v6.sin6_addr, text, sizeof text);
      return absl::StrCat("tcp:[", text, "]:", port());
    case AF_UNIX: {
      const size_t length = size_ - std::min<size_t>(size_, offsetof(sockaddr_un, sun_path));
      const absl::string_view path(storage_.local.sun_path, length);
      if (path.empty()) return "";
      if (path[0] == '\0') return absl::StrCat("unix-abstract:", path.substr(1));
      return absl::StrCat("unix:", path.substr(0, path.find('\0')));
    }
    default:
      return "";
  }
}

}  // namespace nearcall
