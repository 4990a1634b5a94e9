#ifndef NEARCALL_RUNTIME_STREAM_CARRIER_H_
#define NEARCALL_RUNTIME_STREAM_CARRIER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "protos/nearcall/protocol.pb.h"
#include "runtime/base/fd.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/session_options.h"

namespace nearcall {

// What carries the frames of a connection once its socket has shaken hands: the socket itself, or something that was
// agreed on over it. A carrier turns a handshake into a session.
//
// Threads: thread-safe. Drivers live forever.
class CarrierDriver {
 public:
  // What a client brings into the handshake: descriptors, and what belongs to them.
  class Offer {
   public:
    virtual ~Offer() = default;
    virtual std::vector<int> fds() const { return {}; }
  };

  virtual ~CarrierDriver() = default;

  // The name of the transport, as contexts report it; empty: the scheme of the socket ("unix", "tcp").
  virtual std::string transport() const = 0;

  // Client, before the handshake. RESOURCE_EXHAUSTED when there is no memory for it.
  virtual absl::StatusOr<std::unique_ptr<Offer>> MakeOffer() = 0;
  // Client, after it: `received` came with the WELCOME. The connection is handed to `reactor`.
  virtual absl::StatusOr<std::shared_ptr<ClientConnection>> Connect(Fd socket, std::unique_ptr<Offer> offer,
                                                                    std::vector<Fd> received, Reactor* reactor,
                                                                    SessionOptions options) = 0;
  // Server: `received` came with the HELLO; what is to go with the WELCOME is in *reply. `socket` is taken on success
  // only.
  virtual absl::StatusOr<std::shared_ptr<ServerConnection>> Accept(Fd* socket, std::vector<Fd>* received,
                                                                   ServerCore* core, SessionOptions options,
                                                                   std::vector<Fd>* reply) = 0;
};

// Makes a driver known. nullptr when no driver is linked in.
struct CarrierRegistration {
  CarrierRegistration(protocol::Carrier carrier, CarrierDriver* driver);
};
CarrierDriver* FindCarrier(protocol::Carrier carrier);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_CARRIER_H_
