// Implementations of gRPC's services, called straight.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/call_once.h"
#include "grpc/grpc.h"
#include "grpc/slice.h"
#include "grpcpp/security/auth_context.h"
#include "grpcpp/support/server_interceptor.h"
#include "nearcall/grpc_adapter.h"
#include "nearcall/internal/callback_handlers.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/grpc_service.h"
#include "runtime/base/clock.h"
#include "runtime/transports/grpc/convert.h"
#include "runtime/transports/grpc/grpc_access.h"

namespace nearcall::internal {
namespace {

namespace experimental = grpc::experimental;
using grpc_transport::FromGrpc;
using grpc_transport::ToGrpc;

class NoProperties final : public grpc::AuthPropertyIterator {};

// What a handler is told of its caller: nothing that gRPC could have authenticated.
class NoAuthContext final : public grpc::AuthContext {
 public:
  bool IsPeerAuthenticated() const override { return false; }
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  std::vector<grpc::string_ref> FindPropertyValues(const std::string&) const override { return {}; }
  grpc::AuthPropertyIterator begin() const override { return NoProperties(); }
  grpc::AuthPropertyIterator end() const override { return NoProperties(); }
  void AddProperty(const std::string&, const grpc::string_ref&) override {}
  bool SetPeerIdentityPropertyName(const std::string&) override { return false; }
};

const std::shared_ptr<const grpc::AuthContext>& NoAuth() {
  static const auto* const none = new std::shared_ptr<const grpc::AuthContext>(std::make_shared<NoAuthContext>());
  return *none;
}

// A call of gRPC's that never begins.
grpc_call* NewPlaceholder() {
  static grpc_channel* const channel = grpc_lame_client_channel_create("nearcall", GRPC_STATUS_CANCELLED, "");
  static grpc_completion_queue* const queue = grpc_completion_queue_create_for_next(nullptr);
  return grpc_channel_create_call(channel, nullptr, 0, queue, grpc_slice_from_static_string("/nearcall/call"), nullptr,
                                  gpr_inf_future(GPR_CLOCK_MONOTONIC), nullptr);
}

// gRPC's TryCancel asks this, which cancels our call, and then cancels its own: it must have one by then.
class Canceller final : public experimental::Interceptor {
 public:
  Canceller(ServerContext* ours, grpc::ServerContextBase* context) : ours_(ours), context_(context) {}
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    absl::call_once(once_, [this] { GrpcServerAccess::set_call(context_, NewPlaceholder()); });
    ours_->TryCancel();
    methods->Proceed();
  }

 private:
  ServerContext* const ours_;
  grpc::ServerContextBase* const context_;
  absl::once_flag once_;
};

class CancellerFactory final : public experimental::ServerInterceptorFactoryInterface {
 public:
  experimental::Interceptor* CreateServerInterceptor(experimental::ServerRpcInfo* info) override {
    return new Canceller(context_, info->server_context());
  }
  static thread_local ServerContext* context_;  // inside AddInterceptors
};

thread_local ServerContext* CancellerFactory::context_ = nullptr;

const std::vector<std::unique_ptr<experimental::ServerInterceptorFactoryInterface>>& CancellerFactories() {
  static const auto* const factories = [] {
    auto* made = new std::vector<std::unique_ptr<experimental::ServerInterceptorFactoryInterface>>();
    made->push_back(std::make_unique<CancellerFactory>());
    return made;
  }();
  return *factories;
}

void Prepare(ServerContext* ours, grpc::ServerContext* context) {
  GrpcServerAccess::set_deadline(context, ToGrpc(ServerContextAccess::deadline(*ours)));
  for (const Metadata::Pair& pair : ours->client_metadata()) {
    GrpcServerAccess::client_metadata(context)->emplace(grpc::string_ref(pair.first.data(), pair.first.size()),
                                                        grpc::string_ref(pair.second.data(), pair.second.size()));
  }
  GrpcServerAccess::set_auth_context(context, NoAuth());
  CancellerFactory::context_ = ours;
  GrpcServerAccess::AddInterceptors(context, "", CancellerFactories());
  ours->SetOnCancel([context] { GrpcServerAccess::MarkCancelled(context); });
}

void TakeMetadata(const grpc::ServerContext& context, ServerContext* ours) {
  for (const auto& [key, value] : GrpcServerAccess::initial_metadata(context)) ours->AddInitialMetadata(key, value);
  for (const auto& [key, value] : GrpcServerAccess::trailing_metadata(context)) ours->AddTrailingMetadata(key, value);
}

bool OnlySynchronous(const grpc::Service& service) {
  return !service.has_async_methods() && !service.has_callback_methods() && !service.has_generic_methods();
}

}  // namespace

absl::Status RunGrpcMethod(ServerContext* ours, const std::function<grpc::Status(grpc::ServerContext*)>& method) {
  grpc::ServerContext context;
  Prepare(ours, &context);
  absl::Status status = RunHandler(ours, [&] { return FromGrpc(method(&context)); });
  TakeMetadata(context, ours);
  return status;
}

GrpcService::GrpcService(grpc::Service* implementation)
    : implementation_(implementation), direct_(OnlySynchronous(*implementation)) {}

GrpcService::~GrpcService() = default;

void GrpcService::AddThroughGrpc(const Method& method) {
  if (through_grpc_ == nullptr) {
    absl::StatusOr<std::unique_ptr<CallbackGenericService>> made = ServeGrpc({implementation_});
    if (!made.ok()) return;  // the method is UNIMPLEMENTED
    through_grpc_ = *std::move(made);
  }
  // Passed on as bytes, both ways.
  streams_.emplace_back(method.name().data(), MethodType::kBidiStreaming);
  AddMethod(
      &streams_.back(),
      std::make_unique<CallbackBidiStreamingHandler<CallbackGenericService, std::string, std::string,
                                                    &CallbackGenericService::CreateReactor>>(through_grpc_.get()));
}

}  // namespace nearcall::internal
