#include "runtime/stream/carrier.h"

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/engine/client_session.h"
#include "runtime/engine/server_session.h"
#include "runtime/stream/stream_wire.h"

namespace nearcall {
namespace {

struct Registry {
  absl::Mutex mu;
  std::map<protocol::Carrier, CarrierDriver*> drivers ABSL_GUARDED_BY(mu);
};

Registry& TheRegistry() {
  static Registry* const registry = new Registry;
  return *registry;
}

// The frames go over the socket of the handshake.
class SocketCarrier final : public CarrierDriver {
 public:
  std::string transport() const override { return ""; }
  absl::StatusOr<std::unique_ptr<Offer>> MakeOffer() override { return std::make_unique<Offer>(); }

  absl::StatusOr<std::shared_ptr<ClientConnection>> Connect(Fd socket, std::unique_ptr<Offer>, std::vector<Fd>,
                                                            Reactor* reactor, SessionOptions options) override {
    auto wire = std::make_unique<StreamWire>(std::move(socket), options.peer->address);
    auto session = std::make_shared<ClientSession<StreamWire>>(std::move(wire), reactor, std::move(options));
    reactor->Add(session);
    return session;
  }

  absl::StatusOr<std::shared_ptr<ServerConnection>> Accept(Fd* socket, std::vector<Fd>*, ServerCore* core,
                                                           SessionOptions options, std::vector<Fd>*) override {
    auto wire = std::make_unique<StreamWire>(std::move(*socket), options.peer->address);
    return std::make_shared<ServerSession<StreamWire>>(std::move(wire), core, std::move(options));
  }
};

const CarrierRegistration socket_carrier(protocol::SOCKET, new SocketCarrier);

}  // namespace

CarrierRegistration::CarrierRegistration(protocol::Carrier carrier, CarrierDriver* driver) {
  Registry& registry = TheRegistry();
  absl::MutexLock lock(&registry.mu);
  registry.drivers.emplace(carrier, driver);
}

CarrierDriver* FindCarrier(protocol::Carrier carrier) {
  Registry& registry = TheRegistry();
  absl::MutexLock lock(&registry.mu);
  const auto at = registry.drivers.find(carrier);
  return at == registry.drivers.end() ? nullptr : at->second;
}

}  // namespace nearcall
