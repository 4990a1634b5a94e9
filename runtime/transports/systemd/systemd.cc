// `systemd:NAME`: for servers only. The sockets that were opened before the process was started and handed to it, as
// systemd does (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and others who speak the same convention. NAME
// is a socket's name, or its number from 0, or `*` for all of them. Unix sockets are served as `local:` would be.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/fd.h"
#include "runtime/rendezvous/socket_name.h"
#include "runtime/engine/transport.h"
#include "runtime/stream/acceptor.h"

namespace nearcall {
namespace {

constexpr int kFirstFd = 3;

// What the environment hands over.
struct Inherited {
  int count = 0;
  std::vector<std::string> names;  // by number, where there are any
};

absl::StatusOr<Inherited> InheritedSockets() {
  const char* const pid = std::getenv("LISTEN_PID");
  const char* const fds = std::getenv("LISTEN_FDS");
  if (pid == nullptr || fds == nullptr) {
    return absl::NotFoundError("no sockets were handed to this process: LISTEN_PID or LISTEN_FDS is not set");
  }
  int64_t owner;
  if (!absl::SimpleAtoi(pid, &owner) || owner != getpid()) {
    return absl::NotFoundError(absl::StrCat("the sockets are for process ", pid, " (LISTEN_PID), not for this one"));
  }
  Inherited inherited;
  if (!absl::SimpleAtoi(fds, &inherited.count) || inherited.count < 0 || inherited.count > 1024) {
    return absl::InvalidArgumentError(absl::StrCat("LISTEN_FDS is \"", fds, "\", not a number of sockets"));
  }
  if (const char* const names = std::getenv("LISTEN_FDNAMES")) inherited.names = absl::StrSplit(names, ':');
  return inherited;
}

// Which of the inherited sockets NAME means.
std::vector<int> Select(const Inherited& inherited, const std::string& name) {
  std::vector<int> numbers;
  int wanted;
  const bool by_number = absl::SimpleAtoi(name, &wanted);
  for (int i = 0; i < inherited.count; ++i) {
    const bool named = static_cast<size_t>(i) < inherited.names.size() && inherited.names[i] == name;
    if (name == "*" || named || (by_number && wanted == i)) numbers.push_back(i);
  }
  return numbers;
}

class InheritedListener final : public Listener {
 public:
  explicit InheritedListener(ServerCore* core) : core_(core) {}

  absl::Status Add(int fd) {
    int type = 0;
    int listens = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
      return ErrnoStatus(errno, absl::StrCat("inherited descriptor ", fd));
    }
    size = sizeof listens;
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
    const SocketName name = SocketName::OfSelf(fd);
    if (type != SOCK_STREAM || listens == 0 || (!name.is_unix() && !name.is_inet())) {
      return absl::InvalidArgumentError(
          absl::StrCat("inherited descriptor ", fd, " is not a listening stream socket (Unix or TCP)"));
    }
    if (name.is_inet() && !name.is_loopback() && !core_->options().allow_remote) {
      return absl::InvalidArgumentError(
          absl::StrCat(name.ToAddress(),
                       " can be reached from other machines, and nothing is encrypted or authenticated: set "
                       "ServerOptions::allow_remote if that is wanted"));
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    // The original stays open: when this server has stopped, who connects waits for the next one to be started.
    Fd socket(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!socket.valid()) return ErrnoStatus(errno, absl::StrCat("inherited descriptor ", fd));
    fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) | O_NONBLOCK);
    AcceptorOptions options;
    options.core = core_;
    options.scheme = name.is_unix() ? "unix" : "tcp";
    options.address = name.ToAddress();
    options.checks_user = name.is_unix();
    options.carriers = name.is_unix() ? std::vector<protocol::Carrier>{protocol::RING, protocol::SOCKET}
                                      : std::vector<protocol::Carrier>{protocol::SOCKET};
    if (name.is_inet() && port_ == 0) port_ = name.port();
    addresses_.push_back(options.address);
    acceptors_.push_back(std::make_shared<Acceptor>(std::move(socket), std::move(options)));
    return absl::OkStatus();
  }

  std::vector<std::string> addresses() const override { return addresses_; }
  int port() const override { return port_; }
  void Start() override {
    for (const std::shared_ptr<Acceptor>& acceptor : acceptors_) core_->reactor()->Add(acceptor);
  }
  void Stop() override {
    for (const std::shared_ptr<Acceptor>& acceptor : acceptors_) acceptor->Stop();
  }

 private:
  ServerCore* const core_;
  int port_ = 0;
  std::vector<std::string> addresses_;
  std::vector<std::shared_ptr<Acceptor>> acceptors_;
};

class SystemdTransport final : public Transport {
 public:
  absl::Status Check(const Address&) const override { return absl::OkStatus(); }

  absl::StatusOr<std::shared_ptr<ClientConnection>> Dial(const Address& address, const DialOptions&) override {
    return absl::InvalidArgumentError(
        absl::StrCat(address.text, " is for servers; clients connect to the socket's own address"));
  }

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core) override {
    absl::StatusOr<Inherited> inherited = InheritedSockets();
    if (!inherited.ok()) {
      return absl::Status(inherited.status().code(), absl::StrCat(address.text, ": ", inherited.status().message()));
    }
    const std::vector<int> numbers = Select(*inherited, address.rest);
    if (numbers.empty()) {
      return absl::NotFoundError(absl::StrCat(address.text, ": none of the ", inherited->count,
                                              " sockets that were handed to this process has that name or number (",
                                              absl::StrJoin(inherited->names, ", "), ")"));
    }
    auto listener = std::make_unique<InheritedListener>(core);
    for (const int number : numbers) {
      if (absl::Status added = listener->Add(kFirstFd + number); !added.ok()) {
        return absl::Status(added.code(), absl::StrCat(address.text, ": ", added.message()));
      }
    }
    return listener;
  }
};

const TransportRegistration registration("systemd", new SystemdTransport);

}  // namespace
}  // namespace nearcall
