// A bare stream socket between two processes, Unix or TCP: write the payload, read it back.

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmarks/floors/floors.h"

namespace nearcall::benchmarks {
namespace {

constexpr char kOver = 'o';  // the first byte of the last exchange

class Socket final : public Floor {
 public:
  Socket(const sockaddr* address, socklen_t size, bool server, bool spin) : flags_(spin ? MSG_DONTWAIT : 0) {
    fd_ = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server) {
      if (bind(fd_, address, size) != 0 || listen(fd_, 1) != 0) Die(absl::StrCat("cannot listen: ", strerror(errno)));
      if (address->sa_family == AF_INET) {
        sockaddr_in bound;
        socklen_t bound_size = sizeof bound;
        getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &bound_size);
        address_ = absl::StrCat(ntohs(bound.sin_port));
      }
    } else {
      if (connect(fd_, address, size) != 0) Die(absl::StrCat("cannot connect: ", strerror(errno)));
      connected_ = true;
    }
    NoDelay();
  }
  ~Socket() override { close(fd_); }

  std::string address() const override { return address_; }

  void Serve(const Round& round) override {
    if (!connected_) {
      const int accepted = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (accepted < 0) Die("cannot accept");
      close(fd_);
      fd_ = accepted;
      connected_ = true;
      NoDelay();
    }
    std::vector<char> data(std::max<size_t>(round.size(), 1));
    do {
      Receive(data.data(), data.size());
      Send(data.data(), data.size());
    } while (data[0] != kOver);
  }

  Sample Drive(const Round& round) override {
    std::vector<char> data(std::max<size_t>(round.size(), 1), 'x');
    const auto exchange = [&] {
      Send(data.data(), data.size());
      Receive(data.data(), data.size());
    };
    Sample sample = Repeat(round, exchange);
    data[0] = kOver;
    exchange();
    return sample;
  }

 private:
  void NoDelay() {
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // a Unix socket refuses it, and needs none
  }
  void Send(const char* data, size_t size) {
    while (size > 0) {
      const ssize_t sent = send(fd_, data, size, flags_ | MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) Die("cannot send");
      if (sent <= 0) continue;
      data += sent;
      size -= static_cast<size_t>(sent);
    }
  }
  void Receive(char* data, size_t size) {
    while (size > 0) {
      const ssize_t received = recv(fd_, data, size, flags_);
      if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR)) Die("cannot receive");
      if (received < 0) continue;
      data += received;
      size -= static_cast<size_t>(received);
    }
  }

  const int flags_;
  int fd_;
  bool connected_ = false;
  std::string address_;
};

}  // namespace

std::unique_ptr<Floor> NewUnixSocket(const std::string& path, bool server, bool spin) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return std::make_unique<Socket>(reinterpret_cast<const sockaddr*>(&address), sizeof address, server, spin);
}

std::unique_ptr<Floor> NewTcpSocket(const std::string& port, bool server, bool spin) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(server ? 0 : atoi(port.c_str())));
  return std::make_unique<Socket>(reinterpret_cast<const sockaddr*>(&address), sizeof address, server, spin);
}

}  // namespace nearcall::benchmarks
