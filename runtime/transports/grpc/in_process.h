#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_IN_PROCESS_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_IN_PROCESS_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "grpcpp/channel.h"
#include "grpcpp/server.h"
#include "grpcpp/support/channel_arguments.h"

namespace nearcall::grpc_transport {

// Targets that gRPC does not know: this prefix and a name. A server that listens on one is reached from this process
// alone, through gRPC's in-process transport.
inline constexpr char kInProcessPrefix[] = "nearcall-inproc:";

// For the listener, while it serves. The name must be unique.
void RegisterInProcess(absl::string_view target, grpc::Server* server);
void UnregisterInProcess(absl::string_view target);

// A channel to the server that listens on `target`; nullptr when none does. The server must outlive its calls. Calls
// with credentials of their own fail with UNAUTHENTICATED, as over any connection of gRPC's that is not secure; gRPC
// would drop them without a word.
std::shared_ptr<grpc::Channel> InProcessChannel(absl::string_view target);

// Channel arguments without limits of messages.
grpc::ChannelArguments UnlimitedArguments();

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_IN_PROCESS_H_
