#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_GRPC_CHANNEL_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_GRPC_CHANNEL_H_

#include <memory>

#include "grpcpp/channel.h"
#include "nearcall/channel.h"
#include "runtime/engine/transport.h"

namespace nearcall::grpc_transport {

// A channel whose calls are gRPC's: gRPC connects, tries again and balances as it does for its own stubs.
std::shared_ptr<Channel> MakeGrpcChannel(const Address& address, const ChannelOptions& options);

// The same over a channel of gRPC's that is there already.
std::shared_ptr<Channel> MakeGrpcChannel(const Address& address, std::shared_ptr<grpc::Channel> channel,
                                         const ChannelOptions& options);

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_GRPC_CHANNEL_H_
