#include "runtime/stream/acceptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/clock.h"
#include "runtime/base/step.h"
#include "runtime/rendezvous/peer_credentials.h"
#include "runtime/rendezvous/socket_name.h"
#include "runtime/stream/carrier.h"
#include "runtime/stream/handshake.h"
#include "runtime/wire/frame.h"

namespace nearcall {
namespace {

// Who is at the other end of an accepted socket.
Peer PeerOf(int fd, const AcceptorOptions& options) {
  Peer peer;
  peer.transport = options.scheme;
  peer.address = options.address;
  if (const SocketName name = SocketName::OfPeer(fd); name.is_inet()) {
    peer.address = name.ToAddress();
  } else {
    absl::StatusOr<PeerCredentials> credentials = CredentialsOf(fd);
    if (credentials.ok()) peer.credentials = *credentials;
  }
  return peer;
}

}  // namespace

// One accepted socket, up to its WELCOME.
class ServerHandshake final : public Pollable {
 public:
  ServerHandshake(Fd socket, std::shared_ptr<const AcceptorOptions> options)
      : socket_(std::move(socket)),
        fd_(socket_.get()),
        options_(std::move(options)),
        peer_(PeerOf(fd_, *options_)),
        reader_(static_cast<uint8_t>(FrameKind::kHello)),
        deadline_(MonotonicAfter(options_->core->options().handshake_timeout)) {}

  // Gives up, unless the socket is a session's already.
  void Drop() {
    if (socket_.valid()) shutdown(fd_, SHUT_RDWR);
  }

  // Whether it has ended. The reactor may keep it for a while after that.
  bool over() const { return over_; }

  Polled Poll() override {
    const Polled polled = Advance();
    over_ = polled == Polled::kFinished;
    return polled;
  }
  bool PrepareSleep() override { return true; }
  void FinishSleep(uint32_t) override {}
  int watched_fds(WatchedFd* fds) const override {
    fds[0] = WatchedFd{fd_, false};
    return 1;  // until the handshake is over, even if the socket is the session's by then: the session is watched later
  }
  bool worth_spinning() const override { return false; }
  int64_t next_deadline() const override { return deadline_; }

 private:
  Polled Advance() {
    if (!UserMayConnect()) {
      Refuse(absl::PermissionDeniedError(absl::StrCat("user ", peer_.credentials ? peer_.credentials->uid : 0,
                                                      " may not connect to ", options_->address)));
      return Polled::kFinished;
    }
    switch (reader_.Read(fd_)) {
      case HandshakeReader::Progress::kMore:
        return MonotonicNanos() >= deadline_ ? Polled::kFinished : Polled::kIdle;
      case HandshakeReader::Progress::kFailed:
        return Polled::kFinished;
      case HandshakeReader::Progress::kDone:
        Conclude();
        return Polled::kFinished;
    }
    return Polled::kFinished;
  }

  bool UserMayConnect() const {
    if (!options_->checks_user || options_->core->options().allow_other_users) return true;
    return peer_.credentials && IsSameUserOrRoot(*peer_.credentials);
  }

  void Refuse(const absl::Status& status) {
    protocol::Welcome welcome;
    welcome.set_code(static_cast<uint32_t>(status.code()));
    welcome.set_message(std::string(status.message()));
    SendWithFds(fd_, HandshakeFrame(static_cast<uint8_t>(FrameKind::kWelcome), welcome), {}).IgnoreError();
  }

  void Conclude() {
    NEARCALL_STEP("accept.hello");
    protocol::Hello hello;
    if (!reader_.Parse(&hello)) return;
    if (hello.min_version() > kProtocolVersion || hello.max_version() < kProtocolVersion) {
      return Refuse(absl::FailedPreconditionError(absl::StrCat("this server speaks protocol version ", kProtocolVersion,
                                                               ", the client ", hello.min_version(), " to ",
                                                               hello.max_version())));
    }
    absl::StatusOr<std::shared_ptr<Admission>> admission = options_->core->Admit(peer_);
    if (!admission.ok()) {
      const absl::Status& refused = admission.status();
      return Refuse(absl::Status(refused.code(), absl::StrCat(options_->address, ": ", refused.message())));
    }
    absl::Status why = absl::FailedPreconditionError(
        absl::StrCat(options_->address, " does not offer what the client asks for: ", WantedBy(hello)));
    for (const int wanted : hello.carriers()) {
      const auto carrier = static_cast<protocol::Carrier>(wanted);
      if (!Offers(carrier)) continue;
      why = TryCarrier(carrier, hello, *admission);
      if (why.ok()) return;
    }
    Refuse(why);
  }

  bool Offers(protocol::Carrier carrier) const {
    if (carrier == protocol::RING && !options_->core->options().allow_shared_memory) return false;
    return std::find(options_->carriers.begin(), options_->carriers.end(), carrier) != options_->carriers.end();
  }

  static std::string WantedBy(const protocol::Hello& hello) {
    std::string text;
    for (const int wanted : hello.carriers()) {
      absl::StrAppend(&text, text.empty() ? "" : " or ",
                      wanted == protocol::RING     ? "a shared-memory ring (shm:)"
                      : wanted == protocol::SOCKET ? "the socket (unix:)"
                                                   : "an unknown carrier");
    }
    return text.empty() ? "nothing" : text;
  }

  // Makes the session and welcomes the client.
  absl::Status TryCarrier(protocol::Carrier carrier, const protocol::Hello& hello,
                          const std::shared_ptr<Admission>& admission) {
    CarrierDriver* const driver = FindCarrier(carrier);
    if (driver == nullptr) return absl::UnimplementedError("the server was built without this carrier");
    ServerCore* const core = options_->core;
    Peer peer = peer_;
    if (!driver->transport().empty()) peer.transport = driver->transport();
    SessionOptions session = OptionsOfServer(core->options(), std::make_shared<const Peer>(std::move(peer)), admission);
    session.send_window = WindowFromWire(hello.stream_window());
    protocol::Welcome welcome;
    welcome.set_max_calls(session.max_calls);
    welcome.set_stream_window(static_cast<uint32_t>(session.receive_window));
    std::vector<Fd> reply;
    absl::StatusOr<std::shared_ptr<ServerConnection>> connection =
        driver->Accept(&socket_, &reader_.fds(), core, std::move(session), &reply);
    if (!connection.ok()) return connection.status();
    NEARCALL_STEP("accept.carrier");
    welcome.set_version(kProtocolVersion);
    welcome.set_carrier(carrier);
    welcome.set_agent(AgentName());
    std::vector<int> fds;
    for (const Fd& fd : reply) fds.push_back(fd.get());
    absl::Status sent = SendWithFds(fd_, HandshakeFrame(static_cast<uint8_t>(FrameKind::kWelcome), welcome), fds);
    NEARCALL_STEP("accept.welcomed");
    if (sent.ok()) core->AddConnection(*std::move(connection));
    return absl::OkStatus();  // a client that is gone by now needs no refusal
  }

  Fd socket_;
  const int fd_;
  const std::shared_ptr<const AcceptorOptions> options_;
  Peer peer_;
  HandshakeReader reader_;
  const int64_t deadline_;
  bool over_ = false;
};

Acceptor::Acceptor(Fd listening, AcceptorOptions options)
    : listening_(std::move(listening)),
      spare_(open("/dev/null", O_RDONLY | O_CLOEXEC)),
      options_(std::make_shared<const AcceptorOptions>(std::move(options))) {}

Acceptor::~Acceptor() = default;

void Acceptor::Stop() {
  stopped_ = true;
  for (const std::weak_ptr<ServerHandshake>& weak : handshakes_) {
    if (const std::shared_ptr<ServerHandshake> handshake = weak.lock()) handshake->Drop();
  }
  options_->core->reactor()->Nudge(this);
}

Polled Acceptor::Poll() {
  if (stopped_) {
    listening_.reset();  // whoever connects is refused at once
    return Polled::kFinished;
  }
  for (int i = 0; i < kBatch; ++i) {
    Fd socket(accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) Shed();
      return i == 0 ? Polled::kIdle : Polled::kProgress;
    }
    const int on = 1;
    if (options_->scheme == "tcp") setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    handshakes_.erase(std::remove_if(handshakes_.begin(), handshakes_.end(),
                                     [](const std::weak_ptr<ServerHandshake>& weak) {
                                       const std::shared_ptr<ServerHandshake> handshake = weak.lock();
                                       return handshake == nullptr || handshake->over();
                                     }),
                      handshakes_.end());
    const int most = std::max(options_->core->options().max_handshakes, 1);
    if (handshakes_.size() >= static_cast<size_t>(most)) {
      if (const std::shared_ptr<ServerHandshake> oldest = handshakes_.front().lock()) oldest->Drop();
      handshakes_.pop_front();
    }
    NEARCALL_STEP("accept.socket");
    auto handshake = std::make_shared<ServerHandshake>(std::move(socket), options_);
    handshakes_.push_back(handshake);
    options_->core->reactor()->Add(std::move(handshake));
  }
  return Polled::kProgress;
}

// No descriptor is left: gives up the spare one to take a connection off the queue and close it, so that its client
// hears of it and the poller is not woken for ever.
void Acceptor::Shed() {
  spare_.reset();
  Fd refused(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  refused.reset();
  spare_.reset(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace nearcall
