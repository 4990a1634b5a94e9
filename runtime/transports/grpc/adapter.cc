#include <atomic>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpc/support/time.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "nearcall/bridge.h"
#include "nearcall/grpc_adapter.h"
#include "nearcall/server.h"
#include "runtime/transports/grpc/grpc_channel.h"
#include "runtime/transports/grpc/in_process.h"

namespace nearcall {

using grpc_transport::kInProcessPrefix;

namespace {

// A server of this process that passes everything on to a channel.
struct Gateway {
  explicit Gateway(std::shared_ptr<Channel> channel) : bridge(std::move(channel)) {}
  ~Gateway() { grpc = nullptr; }  // before the server that it leads to

  Bridge bridge;
  std::unique_ptr<Server> server;
  std::shared_ptr<grpc::Channel> grpc;
};

// A gRPC server of this process, and the bridge that leads there.
class GrpcServices final : public CallbackGenericService {
 public:
  explicit GrpcServices(std::unique_ptr<grpc::Server> server)
      : server_(std::move(server)),
        bridge_(ChannelOver(server_->InProcessChannel(grpc_transport::UnlimitedArguments()))) {}
  ~GrpcServices() override { server_->Shutdown(gpr_now(GPR_CLOCK_MONOTONIC)); }

  ServerGenericBidiReactor* CreateReactor(CallbackServerContext* context) override {
    return bridge_.CreateReactor(context);
  }

 private:
  const std::unique_ptr<grpc::Server> server_;
  Bridge bridge_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> GrpcChannelOver(std::shared_ptr<Channel> channel) {
  static std::atomic<int> count{0};
  auto gateway = std::make_shared<Gateway>(std::move(channel));
  const std::string address = absl::StrCat("grpc:", kInProcessPrefix, ++count);
  ServerOptions options;
  options.max_receive_message_bytes = -1;  // the ends have limits of their own
  ServerBuilder builder;
  builder.SetOptions(options);
  builder.AddListeningPort(address);
  builder.RegisterCallbackGenericService(&gateway->bridge);
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  if (!server.ok()) return server.status();
  gateway->server = *std::move(server);
  gateway->grpc = grpc_transport::InProcessChannel(absl::StripPrefix(address, "grpc:"));
  return std::shared_ptr<grpc::Channel>(gateway, gateway->grpc.get());
}

std::shared_ptr<Channel> ChannelOver(std::shared_ptr<grpc::Channel> channel) {
  ChannelOptions options;
  options.max_receive_message_bytes = -1;
  return grpc_transport::MakeGrpcChannel(Address{"grpc:", "grpc", ""}, std::move(channel), options);
}

absl::StatusOr<std::unique_ptr<CallbackGenericService>> ServeGrpc(const std::vector<grpc::Service*>& services) {
  grpc::ServerBuilder builder;
  for (grpc::Service* service : services) builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(-1);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::FailedPreconditionError("gRPC did not start a server for these services");
  return std::unique_ptr<CallbackGenericService>(new GrpcServices(std::move(server)));
}

}  // namespace nearcall
