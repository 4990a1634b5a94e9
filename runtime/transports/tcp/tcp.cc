// `tcp:HOST:PORT`: frames over TCP, on the loopback interface unless the server allows more.

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/clock.h"
#include "runtime/base/errno_status.h"
#include "runtime/rendezvous/socket_name.h"
#include "runtime/stream/acceptor.h"
#include "runtime/stream/dial.h"

namespace nearcall {
namespace {

struct HostPort {
  std::string host;
  int port = 0;
};

// "127.0.0.1:80", "localhost:80", "[::1]:80".
absl::StatusOr<HostPort> Parse(const Address& address) {
  const std::string& text = address.rest;
  const size_t colon = text.rfind(':');
  const bool in_brackets = absl::StartsWith(text, "[");
  const size_t bracket = text.find(']');
  if (colon == std::string::npos || (in_brackets && (bracket == std::string::npos || colon != bracket + 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat(address.text, " has no port: write tcp:HOST:PORT, or tcp:[HOST]:PORT for IPv6"));
  }
  HostPort result;
  result.host = in_brackets ? text.substr(1, bracket - 1) : text.substr(0, colon);
  if (result.host.empty()) return absl::InvalidArgumentError(absl::StrCat(address.text, " has no host"));
  if (!in_brackets && absl::StrContains(result.host, ':')) {
    return absl::InvalidArgumentError(
        absl::StrCat(address.text, ": an IPv6 host is written in brackets, tcp:[HOST]:PORT"));
  }
  const std::string port = text.substr(colon + 1);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(port, &result.port) || result.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat(address.text, ": \"", port, "\" is not a port from 0 to 65535"));
  }
  return result;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, FreeAddresses>;

absl::StatusOr<Addresses> Resolve(const Address& address, const HostPort& host_port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* list = nullptr;
  const int error = getaddrinfo(host_port.host.c_str(), absl::StrCat(host_port.port).c_str(), &hints, &list);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(address.text, ": cannot resolve ", host_port.host, ": ", gai_strerror(error)));
  }
  return Addresses(list);
}

// Connects within the deadline; UNAVAILABLE otherwise.
absl::StatusOr<Fd> Connect(const Address& address, const addrinfo& target, int64_t deadline) {
  Fd fd(socket(target.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, address.text);
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd.get(), target.ai_addr, target.ai_addrlen) == 0) return fd;
  int error = errno;
  while (error == EINPROGRESS || error == EINTR) {
    const int64_t left = deadline == kNever ? INT64_MAX : deadline - MonotonicNanos();
    if (left <= 0) return absl::UnavailableError(absl::StrCat(address.text, ": no answer to the connection attempt"));
    pollfd poll_fd{fd.get(), POLLOUT, 0};
    if (poll(&poll_fd, 1, static_cast<int>(std::min<int64_t>(left / 1'000'000 + 1, 60'000))) <= 0) continue;
    socklen_t size = sizeof error;
    getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return fd;
  }
  return absl::UnavailableError(ErrnoStatus(error, address.text).message());
}

class TcpListener final : public Listener {
 public:
  TcpListener(std::string host, Fd socket, int port, ServerCore* core)
      : address_(absl::StrCat("tcp:", absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host, ":", port)),
        port_(port),
        core_(core),
        socket_(std::move(socket)) {}

  std::vector<std::string> addresses() const override { return {address_}; }
  int port() const override { return port_; }
  void Start() override {
    AcceptorOptions options;
    options.core = core_;
    options.scheme = "tcp";
    options.address = address_;
    options.carriers = {protocol::SOCKET};
    acceptor_ = std::make_shared<Acceptor>(std::move(socket_), std::move(options));
    core_->reactor()->Add(acceptor_);
  }
  void Stop() override {
    if (acceptor_ != nullptr) acceptor_->Stop();
  }

 private:
  const std::string address_;
  const int port_;
  ServerCore* const core_;
  Fd socket_;
  std::shared_ptr<Acceptor> acceptor_;
};

class TcpTransport final : public Transport {
 public:
  absl::Status Check(const Address& address) const override { return Parse(address).status(); }
  absl::StatusOr<std::shared_ptr<ClientConnection>> Dial(const Address& address, const DialOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core) override;
};

absl::StatusOr<std::shared_ptr<ClientConnection>> TcpTransport::Dial(const Address& address,
                                                                     const DialOptions& options) {
  absl::StatusOr<HostPort> host_port = Parse(address);
  if (!host_port.ok()) return host_port.status();
  if (host_port->port == 0) {
    return absl::InvalidArgumentError(absl::StrCat(address.text, ": port 0 is for servers, who are given one"));
  }
  absl::StatusOr<Addresses> targets = Resolve(address, *host_port, 0);
  if (!targets.ok()) return targets.status();
  absl::Status failure = absl::UnavailableError(absl::StrCat(address.text, ": no address"));
  for (const addrinfo* target = targets->get(); target != nullptr; target = target->ai_next) {
    absl::StatusOr<Fd> socket = Connect(address, *target, options.deadline);
    if (socket.ok()) return Establish(*std::move(socket), Peer{"tcp", address.text, {}}, {protocol::SOCKET}, options);
    failure = socket.status();
  }
  return failure;
}

absl::StatusOr<std::unique_ptr<Listener>> TcpTransport::Listen(const Address& address, ServerCore* core) {
  absl::StatusOr<HostPort> host_port = Parse(address);
  if (!host_port.ok()) return host_port.status();
  absl::StatusOr<Addresses> targets = Resolve(address, *host_port, AI_PASSIVE);
  if (!targets.ok()) return absl::InvalidArgumentError(targets.status().message());
  const addrinfo& target = **targets;
  if (!core->options().allow_remote && !SocketName(target.ai_addr, target.ai_addrlen).is_loopback()) {
    return absl::InvalidArgumentError(
        absl::StrCat(address.text,
                     " can be reached from other machines, and nothing is encrypted or authenticated: set "
                     "ServerOptions::allow_remote if that is wanted"));
  }
  Fd fd(socket(target.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, address.text);
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), target.ai_addr, target.ai_addrlen) != 0 || listen(fd.get(), SOMAXCONN) != 0) {
    return ErrnoStatus(errno, address.text);
  }
  const int port = SocketName::OfSelf(fd.get()).port();
  if (port == 0)
    return absl::ResourceExhaustedError(absl::StrCat(address.text, ": the kernel does not say which port"));
  return std::make_unique<TcpListener>(host_port->host, std::move(fd), port, core);
}

const TransportRegistration registration("tcp", new TcpTransport);

}  // namespace
}  // namespace nearcall
