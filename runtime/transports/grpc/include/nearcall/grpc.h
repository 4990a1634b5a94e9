#ifndef NEARCALL_GRPC_H_
#define NEARCALL_GRPC_H_

#include <memory>

#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/support/channel_arguments.h"
#include "nearcall/channel.h"
#include "nearcall/internal/transport_options.h"
#include "nearcall/server.h"

namespace nearcall {

// What `grpc:` addresses can be told beside what every channel and server has. In //runtime:grpc, which programs that
// use such addresses link.

// Of a channel: ChannelOptions options; options.transport = nearcall::GrpcChannel(grpc::SslCredentials(...));
class GrpcChannelOptions final : public internal::TransportOptions {
 public:
  // nullptr: none, which is allowed on this machine only (loopback and Unix sockets).
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  // Arguments of gRPC's own. Where ChannelOptions says something of the same, that counts.
  grpc::ChannelArguments arguments;
};

// Of a server: its `grpc:` addresses ask callers for these.
class GrpcServerOptions final : public internal::TransportOptions {
 public:
  // nullptr: none; then ServerOptions::allow_remote says whether others than this machine may call.
  std::shared_ptr<grpc::ServerCredentials> credentials;
};

// TLS, mTLS, or whatever else gRPC has, for a channel and for a server.
inline std::shared_ptr<const internal::TransportOptions> GrpcChannel(
    std::shared_ptr<grpc::ChannelCredentials> credentials,
    const grpc::ChannelArguments& arguments = grpc::ChannelArguments()) {
  auto options = std::make_shared<GrpcChannelOptions>();
  options->credentials = std::move(credentials);
  options->arguments = arguments;
  return options;
}
inline std::shared_ptr<const internal::TransportOptions> GrpcServer(
    std::shared_ptr<grpc::ServerCredentials> credentials) {
  auto options = std::make_shared<GrpcServerOptions>();
  options->credentials = std::move(credentials);
  return options;
}

}  // namespace nearcall

#endif  // NEARCALL_GRPC_H_
