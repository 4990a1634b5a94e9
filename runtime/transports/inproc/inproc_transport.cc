// `inproc:NAME`: a server and a client in one process. There is nothing to shake hands about: the client's call to Dial
// makes both ends and hands one to the server.

#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "runtime/engine/client_session.h"
#include "runtime/engine/server_session.h"
#include "runtime/engine/transport.h"
#include "runtime/transports/inproc/inproc_wire.h"

namespace nearcall {
namespace {

class InprocTransport final : public Transport {
 public:
  absl::Status Check(const Address&) const override { return absl::OkStatus(); }
  absl::StatusOr<std::shared_ptr<ClientConnection>> Dial(const Address& address, const DialOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core) override;

  void Serve(const std::string& name, ServerCore* core);
  void Stop(const std::string& name);

 private:
  absl::Mutex mu_;
  // By name; nullptr for an address that is taken by a server that does not accept yet. A server's core is used under
  // the lock only: it may go once it is out of the map.
  std::map<std::string, ServerCore*> servers_ ABSL_GUARDED_BY(mu_);
};

class InprocListener final : public Listener {
 public:
  InprocListener(Address address, InprocTransport* transport, ServerCore* core)
      : address_(std::move(address)), transport_(transport), core_(core) {}
  ~InprocListener() override { Stop(); }

  std::vector<std::string> addresses() const override { return {address_.text}; }
  void Start() override { transport_->Serve(address_.rest, core_); }
  void Stop() override {
    if (!std::exchange(stopped_, true)) transport_->Stop(address_.rest);
  }

 private:
  const Address address_;
  InprocTransport* const transport_;
  ServerCore* const core_;
  bool stopped_ = false;
};

std::shared_ptr<const Peer> ThisProcess(const std::string& address) {
  return std::make_shared<const Peer>(Peer{"inproc", address, PeerCredentials{geteuid(), getegid(), getpid()}});
}

absl::StatusOr<std::shared_ptr<ClientConnection>> InprocTransport::Dial(const Address& address,
                                                                        const DialOptions& options) {
  absl::MutexLock lock(&mu_);
  const auto at = servers_.find(address.rest);
  if (at == servers_.end() || at->second == nullptr) {
    return absl::UnavailableError(absl::StrCat("no server in this process listens on ", address.text));
  }
  ServerCore* const core = at->second;
  const std::shared_ptr<const Peer> peer = ThisProcess(address.text);
  absl::StatusOr<std::shared_ptr<Admission>> admission = core->Admit(*peer);
  if (!admission.ok()) {
    return absl::Status(admission.status().code(), absl::StrCat(address.text, ": ", admission.status().message()));
  }
  auto [client_wire, server_wire] = InprocWire::MakePair();
  SessionOptions client_options = OptionsOfChannel(*options.channel, peer);
  SessionOptions server_options = OptionsOfServer(core->options(), peer, *std::move(admission));
  client_options.max_calls = server_options.max_calls;
  client_options.send_window = server_options.receive_window;
  server_options.send_window = client_options.receive_window;
  auto client = std::make_shared<ClientSession<InprocWire>>(std::move(client_wire), options.reactor, client_options);
  core->AddConnection(
      std::make_shared<ServerSession<InprocWire>>(std::move(server_wire), core, std::move(server_options)));
  options.reactor->Add(client);
  return client;
}

absl::StatusOr<std::unique_ptr<Listener>> InprocTransport::Listen(const Address& address, ServerCore* core) {
  absl::MutexLock lock(&mu_);
  if (!servers_.emplace(address.rest, nullptr).second) {
    return absl::AlreadyExistsError(absl::StrCat("a server in this process listens on ", address.text, " already"));
  }
  return std::make_unique<InprocListener>(address, this, core);
}

void InprocTransport::Serve(const std::string& name, ServerCore* core) {
  absl::MutexLock lock(&mu_);
  servers_[name] = core;
}

void InprocTransport::Stop(const std::string& name) {
  absl::MutexLock lock(&mu_);
  servers_.erase(name);
}

const TransportRegistration registration("inproc", new InprocTransport);

}  // namespace
}  // namespace nearcall
