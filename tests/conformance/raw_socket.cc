#include "tests/conformance/raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace nearcall::testing {
namespace {

struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Place Find(const std::string& text) {
  Place place;
  const std::string scheme = text.substr(0, text.find(':'));
  const std::string rest = text.substr(text.find(':') + 1);
  if (scheme == "tcp") {
    auto* const in = reinterpret_cast<sockaddr_in*>(&place.address);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    in->sin_port = htons(static_cast<uint16_t>(atoi(rest.substr(rest.rfind(':') + 1).c_str())));
    place.size = sizeof *in;
    return place;
  }
  auto* const un = reinterpret_cast<sockaddr_un*>(&place.address);
  un->sun_family = AF_UNIX;
  const size_t skip = scheme == "unix-abstract" ? 1 : 0;
  std::memcpy(un->sun_path + skip, rest.data(), rest.size());
  place.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + skip + rest.size() + (skip == 0 ? 1 : 0));
  return place;
}

Fd Socket(const Place& place) { return Fd(socket(place.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

[[noreturn]] void Die(const char* what, const std::string& address) {
  fprintf(stderr, "%s %s: %s\n", what, address.c_str(), strerror(errno));
  abort();
}

}  // namespace

RawSocket RawSocket::ConnectTo(const std::string& address) {
  const Place place = Find(address);
  Fd fd = Socket(place);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&place.address), place.size) != 0) Die("connect", address);
  return RawSocket(std::move(fd), address);
}

RawSocket RawSocket::ListenAt(const std::string& address) {
  Place place = Find(address);
  Fd fd = Socket(place);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&place.address), place.size) != 0) Die("bind", address);
  if (listen(fd.get(), 10) != 0) Die("listen", address);
  std::string full = address;
  if (place.address.ss_family == AF_INET) {
    getsockname(fd.get(), reinterpret_cast<sockaddr*>(&place.address), &place.size);
    full = absl::StrCat("tcp:127.0.0.1:", ntohs(reinterpret_cast<sockaddr_in*>(&place.address)->sin_port));
  }
  return RawSocket(std::move(fd), full);
}

RawSocket RawSocket::Accept() {
  int fd;
  do {
    fd = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return RawSocket(Fd(fd), address_);
}

void RawSocket::StopListening() {
  shutdown(fd_.get(), SHUT_RDWR);
  const std::string path = address_.substr(address_.find(':') + 1);
  if (path[0] == '/') remove(path.c_str());
}

void RawSocket::Send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(fd_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    sent += static_cast<size_t>(count);
  }
}

void RawSocket::SendWithFds(const std::string& bytes, const std::vector<int>& fds) {
  const size_t size = fds.size() * sizeof(int);
  std::vector<char> control(CMSG_SPACE(size));
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(header), fds.data(), size);
  ssize_t sent;
  do {
    sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent > 0) Send(bytes.substr(static_cast<size_t>(sent)));
}

void RawSocket::DoneSending() { shutdown(fd_.get(), SHUT_WR); }

bool RawSocket::ReceiveBytes(void* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got = recv(fd_.get(), static_cast<char*>(to) + done, size - done, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

bool RawSocket::ReceiveFrame(FrameKind kind, uint16_t* detail) {
  FrameHeader header;
  if (!ReceiveBytes(&header, sizeof header) || header.size < kHeaderSize || header.size > kMaxFrameSize) return false;
  if (detail != nullptr) *detail = header.detail;
  std::vector<char> payload(header.size - kHeaderSize);
  return ReceiveBytes(payload.data(), payload.size()) && header.kind == static_cast<uint8_t>(kind);
}

void RawSocket::AwaitEnd() {
  char bytes[4096];
  for (;;) {
    const ssize_t got = recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
  }
}

RawServer::RawServer(const std::string& address, std::function<void(RawSocket)> serve)
    : listener_(RawSocket::ListenAt(address)), thread_([this, serve = std::move(serve)] {
        for (;;) {
          RawSocket client = listener_.Accept();
          if (!client.valid()) return;
          serve(std::move(client));
        }
      }) {}

RawServer::~RawServer() {
  listener_.StopListening();
  thread_.join();
}

}  // namespace nearcall::testing
