#ifndef NEARCALL_BRIDGE_H_
#define NEARCALL_BRIDGE_H_

#include <memory>
#include <utility>

#include "nearcall/channel.h"
#include "nearcall/generic.h"

namespace nearcall {

// Serves every method there is by passing its calls on to another server: messages as they are, in both directions and
// as they come, with metadata, deadline, cancellation and status. It needs no .proto, and holds no thread for a call.
//
//   nearcall::Bridge bridge(nearcall::CreateChannel("grpc:127.0.0.1:50051"));
//   builder.RegisterCallbackGenericService(&bridge);
//
// In //runtime/services:bridge.
//
// Threads: thread-safe.
class Bridge final : public CallbackGenericService {
 public:
  explicit Bridge(std::shared_ptr<Channel> upstream) : upstream_(std::move(upstream)) {}
  ServerGenericBidiReactor* CreateReactor(CallbackServerContext* context) override;

 private:
  GenericStub upstream_;
};

}  // namespace nearcall

#endif  // NEARCALL_BRIDGE_H_
