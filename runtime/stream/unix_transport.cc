#include "runtime/stream/unix_transport.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"
#include "runtime/rendezvous/connect.h"
#include "runtime/rendezvous/peer_credentials.h"
#include "runtime/rendezvous/socket_file.h"
#include "runtime/rendezvous/socket_path.h"
#include "runtime/rendezvous/unix_address.h"
#include "runtime/stream/acceptor.h"
#include "runtime/stream/dial.h"

namespace nearcall {
namespace {

// A status that names the address, as the user wrote it.
absl::Status Name(const Address& address, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(address.text, ": ", status.message()));
}

class UnixListener final : public Listener {
 public:
  UnixListener(Address address, std::string path, ServerCore* core, std::vector<protocol::Carrier> carriers)
      : address_(std::move(address)), path_(std::move(path)), core_(core), carriers_(std::move(carriers)) {}

  absl::Status Bind(UnixTransport::Namespace names) {
    if (names == UnixTransport::Namespace::kAbstract) {
      absl::StatusOr<Fd> socket = BindAbstract(path_);
      if (!socket.ok()) return socket.status();
      abstract_ = *std::move(socket);
      return ListenOn(abstract_.get());
    }
    SocketFileOptions options;
    options.allow_other_users = core_->options().allow_other_users;
    absl::StatusOr<SocketFile> file = SocketFile::Bind(path_, options);
    if (!file.ok()) return file.status();
    file_ = *std::move(file);
    return ListenOn(file_.fd());
  }

  std::vector<std::string> addresses() const override { return {address_.text}; }

  absl::StatusOr<bool> Absorb(const Address& address) override {
    absl::StatusOr<Transport*> transport = FindTransport(address);
    if (!transport.ok()) return transport.status();
    const auto* const unix_transport = dynamic_cast<const UnixTransport*>(*transport);
    if (unix_transport == nullptr || unix_transport->names() != UnixTransport::Namespace::kFile || abstract_.valid()) {
      return false;
    }
    absl::StatusOr<std::string> path = SocketPathFor(address.rest);
    if (!path.ok()) return path.status();
    if (*path != path_) return false;
    for (const protocol::Carrier carrier : unix_transport->carriers()) {
      if (std::find(carriers_.begin(), carriers_.end(), carrier) == carriers_.end()) carriers_.push_back(carrier);
    }
    return true;
  }

  void Start() override {
    AcceptorOptions options;
    options.core = core_;
    options.scheme = "unix";
    options.address = absl::StrCat(abstract_.valid() ? "unix-abstract:" : "unix:", path_);
    options.checks_user = true;
    options.carriers = carriers_;
    acceptor_ = std::make_shared<Acceptor>(std::move(listening_), std::move(options));
    core_->reactor()->Add(acceptor_);
  }

  void Stop() override {
    if (acceptor_ != nullptr) acceptor_->Stop();
    file_.Close();
    abstract_.reset();
  }

 private:
  // The file stays ours, to be removed when we stop; the acceptor listens on a descriptor of its own.
  absl::Status ListenOn(int fd) {
    listening_.reset(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    return listening_.valid() ? absl::OkStatus() : ErrnoStatus(errno, "listening");
  }

  const Address address_;
  const std::string path_;
  ServerCore* const core_;
  std::vector<protocol::Carrier> carriers_;
  SocketFile file_;
  Fd abstract_;
  Fd listening_;  // until Start
  std::shared_ptr<Acceptor> acceptor_;
};

}  // namespace

absl::Status UnixTransport::Check(const Address& address) const {
  const absl::Status status =
      names_ == Namespace::kAbstract ? AbstractAddress(address.rest).status() : SocketPathFor(address.rest).status();
  return status.ok() ? status : Name(address, status);
}

absl::StatusOr<std::shared_ptr<ClientConnection>> UnixTransport::Dial(const Address& address,
                                                                      const DialOptions& options) {
  protocol::Carrier unusable = protocol::CARRIER_UNSPECIFIED;
  absl::StatusOr<std::shared_ptr<ClientConnection>> connection = DialOnce(address, options, carriers_, &unusable);
  if (connection.ok() || unusable == protocol::CARRIER_UNSPECIFIED || carriers_.size() == 1) return connection;
  // What was agreed on does not work on our side; there is something else.
  std::vector<protocol::Carrier> others = carriers_;
  others.erase(std::remove(others.begin(), others.end(), unusable), others.end());
  return DialOnce(address, options, others, &unusable);
}

absl::StatusOr<std::shared_ptr<ClientConnection>> UnixTransport::DialOnce(
    const Address& address, const DialOptions& options, const std::vector<protocol::Carrier>& carriers,
    protocol::Carrier* unusable) {
  std::string path = address.rest;
  absl::StatusOr<Fd> socket = absl::InternalError("");
  if (names_ == Namespace::kAbstract) {
    socket = ConnectAbstract(path, options.deadline);
  } else {
    absl::StatusOr<std::string> found = PathToConnectTo(address.rest);
    if (!found.ok()) return Name(address, found.status());
    path = *std::move(found);
    socket = ConnectUnix(path, options.deadline);
  }
  if (!socket.ok()) return Name(address, socket.status());
  absl::StatusOr<PeerCredentials> credentials = CredentialsOf(socket->get());
  if (!credentials.ok()) return Name(address, credentials.status());
  if (names_ == Namespace::kAbstract && !IsSameUserOrRoot(*credentials)) {
    return absl::PermissionDeniedError(
        absl::StrCat(address.text, ": user ", credentials->uid, " has taken this name, not us or root"));
  }
  const char* const scheme = names_ == Namespace::kAbstract ? "unix-abstract:" : "unix:";
  return Establish(*std::move(socket), Peer{"unix", absl::StrCat(scheme, path), *credentials}, carriers, options,
                   unusable);
}

absl::StatusOr<std::unique_ptr<Listener>> UnixTransport::Listen(const Address& address, ServerCore* core) {
  std::string path = address.rest;
  if (names_ == Namespace::kFile) {
    if (core->options().allow_other_users && IsBareName(address.rest)) {
      return absl::InvalidArgumentError(absl::StrCat(
          address.text,
          ": the directory of a bare name keeps other users out; with ServerOptions::allow_other_users the "
          "address needs a path"));
    }
    absl::StatusOr<std::string> found = PathToListenOn(address.rest);
    if (!found.ok()) return Name(address, found.status());
    path = *std::move(found);
  }
  auto listener = std::make_unique<UnixListener>(address, std::move(path), core, carriers_);
  if (absl::Status status = listener->Bind(names_); !status.ok()) return Name(address, status);
  return listener;
}

}  // namespace nearcall
