// `grpc:TARGET`: real gRPC, through its library. Our stubs call any gRPC server, and any gRPC client calls our
// services. gRPC brings connections and calls of its own, so there is no Wire here: a Channel on its generic stub, and
// a Listener on its generic service.

#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/engine/transport.h"
#include "runtime/transports/grpc/grpc_channel.h"
#include "runtime/transports/grpc/listener.h"

namespace nearcall {
namespace {

class GrpcTransport final : public Transport {
 public:
  // gRPC says what is wrong with a target when it is called.
  absl::Status Check(const Address&) const override { return absl::OkStatus(); }
  std::shared_ptr<Channel> MakeChannel(const Address& address, const ChannelOptions& options) override {
    return grpc_transport::MakeGrpcChannel(address, options);
  }
  absl::StatusOr<std::shared_ptr<ClientConnection>> Dial(const Address& address, const DialOptions&) override {
    return absl::UnimplementedError(absl::StrCat(address.text, ": gRPC connects by itself"));
  }
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core) override {
    return grpc_transport::GrpcListener::Listen(address, core);
  }
};

const TransportRegistration registration("grpc", new GrpcTransport);

}  // namespace
}  // namespace nearcall
