#ifndef NEARCALL_RUNTIME_STREAM_UNIX_TRANSPORT_H_
#define NEARCALL_RUNTIME_STREAM_UNIX_TRANSPORT_H_

#include <memory>
#include <string>
#include <vector>

#include "protos/nearcall/protocol.pb.h"
#include "runtime/engine/transport.h"

namespace nearcall {

// The transports whose servers are found through a Unix socket: `unix:`, `shm:` and `local:`, which differ in what may
// carry the frames afterwards, and in nothing else. Addresses of one NAME share one socket file: a server that listens
// on several offers the carriers of all.
//
// Threads, errors: see Transport.
class UnixTransport final : public Transport {
 public:
  enum class Namespace { kFile, kAbstract };

  // `carriers` in the order of preference.
  explicit UnixTransport(std::vector<protocol::Carrier> carriers, Namespace names = Namespace::kFile)
      : carriers_(std::move(carriers)), names_(names) {}

  const std::vector<protocol::Carrier>& carriers() const { return carriers_; }
  Namespace names() const { return names_; }

  absl::Status Check(const Address& address) const override;
  absl::StatusOr<std::shared_ptr<ClientConnection>> Dial(const Address& address, const DialOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core) override;

 private:
  absl::StatusOr<std::shared_ptr<ClientConnection>> DialOnce(const Address& address, const DialOptions& options,
                                                             const std::vector<protocol::Carrier>& carriers,
                                                             protocol::Carrier* unusable);

  const std::vector<protocol::Carrier> carriers_;
  const Namespace names_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_UNIX_TRANSPORT_H_
