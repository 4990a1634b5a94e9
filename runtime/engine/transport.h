#ifndef NEARCALL_RUNTIME_ENGINE_TRANSPORT_H_
#define NEARCALL_RUNTIME_ENGINE_TRANSPORT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/channel.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/reactor.h"
#include "runtime/engine/server_core.h"

namespace nearcall {

// An address, split at its first colon: "tcp:127.0.0.1:80" is scheme "tcp" and rest "127.0.0.1:80".
struct Address {
  std::string text;
  std::string scheme;
  std::string rest;
};
// INVALID_ARGUMENT when there is no scheme or nothing behind it.
absl::StatusOr<Address> ParseAddress(const std::string& text);

// What one attempt to connect is made with.
struct DialOptions {
  const ChannelOptions* channel;
  Reactor* reactor;  // that will look after the connection
  int64_t deadline;  // of the attempt, handshake included
};

// An address that a server listens on.
//
// Threads: made and started by the thread that builds the server; Stop by the poller.
class Listener {
 public:
  virtual ~Listener() = default;
  // Where it listens, as a client would write it, port filled in; usually one.
  virtual std::vector<std::string> addresses() const = 0;
  virtual int port() const { return 0; }
  // Takes a further address of the same server, if it stands for the same place as this one.
  virtual absl::StatusOr<bool> Absorb(const Address& /*address*/) { return false; }
  // Begins to accept.
  virtual void Start() = 0;
  // Accepts no more, frees the address.
  virtual void Stop() = 0;
  // Cancels the calls that are not a ServerConnection's. After Stop. Poller.
  virtual void CancelCalls() {}
};

// One mechanism, by the scheme of its addresses.
//
// Threads: thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // What is wrong with an address, without trying it.
  virtual absl::Status Check(const Address& address) const = 0;
  // A channel of the transport's own; nullptr for the engine's, over Dial. For what brings calls and connecting with
  // it.
  virtual std::shared_ptr<Channel> MakeChannel(const Address& /*address*/, const ChannelOptions& /*options*/) {
    return nullptr;
  }
  // Connects and shakes hands; blocks to options.deadline. The connection is in the care of options.reactor already.
  // UNAVAILABLE when no server is there; other codes when trying again is pointless.
  virtual absl::StatusOr<std::shared_ptr<ClientConnection>> Dial(const Address& address,
                                                                 const DialOptions& options) = 0;
  // Binds the address; connections go to `core` once the listener is started.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core) = 0;
};

// Makes a transport known; `transport` lives forever. A transport's .cc does this from a static object, so that linking
// the transport is all that it takes to have it.
struct TransportRegistration {
  TransportRegistration(const std::string& scheme, Transport* transport);
};
// INVALID_ARGUMENT, naming the known schemes, when none has that name.
absl::StatusOr<Transport*> FindTransport(const Address& address);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_TRANSPORT_H_
