#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_GRPC_ACCESS_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_GRPC_ACCESS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/impl/rpc_method.h"
#include "grpcpp/impl/rpc_service_method.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/method_handler.h"
#include "grpcpp/support/string_ref.h"

// What gRPC's contexts keep for the code that makes and serves calls, seen from other code that makes and serves calls.
//
// A context opens itself to the templates that the generated code is made of, whatever messages they are for. These are
// those templates, for a "message" of ours: the only way in that names no other library's object layout, and that the
// compiler checks with every release of gRPC. All of it is here.

namespace nearcall::internal {
struct GrpcAccessTag;
}  // namespace nearcall::internal

namespace grpc::internal {

// The client's end.
template <>
class BlockingUnaryCallImpl<nearcall::internal::GrpcAccessTag, nearcall::internal::GrpcAccessTag> {
 public:
  // Gives the context a call of gRPC's own. That is what TryCancel, from any thread, acts on.
  static void MakeCall(grpc::Channel* channel, const RpcMethod& method, grpc::ClientContext* context,
                       grpc::CompletionQueue* queue) {
    channel->CreateCall(method, context, queue);
  }
  static const std::multimap<std::string, std::string>& metadata(const grpc::ClientContext& context) {
    return context.send_initial_metadata_;
  }
  static bool wait_for_ready(const grpc::ClientContext& context) {
    return (context.initial_metadata_flags() & GRPC_INITIAL_METADATA_WAIT_FOR_READY) != 0;
  }
  static bool has_parent(const grpc::ClientContext& context) { return context.propagate_from_call_ != nullptr; }

  // Reading initial metadata ends the program unless it is marked as received.
  static void MarkInitialMetadata(grpc::ClientContext* context) { context->initial_metadata_received_ = true; }
  // What is entered must live as long as the context.
  static std::multimap<string_ref, string_ref>* initial_metadata(grpc::ClientContext* context) {
    return context->recv_initial_metadata_.map();
  }
  static std::multimap<string_ref, string_ref>* trailing_metadata(grpc::ClientContext* context) {
    return context->trailing_metadata_.map();
  }
};

// The server's.
template <>
class RpcMethodHandler<nearcall::internal::GrpcAccessTag, nearcall::internal::GrpcAccessTag,
                       nearcall::internal::GrpcAccessTag, nearcall::internal::GrpcAccessTag,
                       nearcall::internal::GrpcAccessTag> {
 public:
  static void set_deadline(grpc::ServerContext* context, gpr_timespec deadline) { context->deadline_ = deadline; }
  static std::multimap<string_ref, string_ref>* client_metadata(grpc::ServerContext* context) {
    return context->client_metadata_.map();
  }
  static const std::multimap<std::string, std::string>& initial_metadata(const grpc::ServerContext& context) {
    return context.initial_metadata_;
  }
  static const std::multimap<std::string, std::string>& trailing_metadata(const grpc::ServerContext& context) {
    return context.trailing_metadata_;
  }
  // IsCancelled says so from then on. Any thread.
  static void MarkCancelled(grpc::ServerContext* context) {
    context->marked_cancelled_.store(true, std::memory_order_release);
  }
  static void set_auth_context(grpc::ServerContext* context, std::shared_ptr<const grpc::AuthContext> auth) {
    context->auth_context_ = std::move(auth);
  }
  // TryCancel cancels `call`, which the context then owns.
  static void set_call(grpc::ServerContextBase* context, grpc_call* call) { context->set_call(call); }
  // TryCancel asks the interceptors that `factories` make.
  static void AddInterceptors(
      grpc::ServerContext* context, const char* method,
      const std::vector<std::unique_ptr<experimental::ServerInterceptorFactoryInterface>>& factories) {
    context->set_server_rpc_info(method, RpcMethod::NORMAL_RPC, factories);
  }
};

}  // namespace grpc::internal

namespace nearcall::internal {

using GrpcClientAccess = grpc::internal::BlockingUnaryCallImpl<GrpcAccessTag, GrpcAccessTag>;
using GrpcServerAccess =
    grpc::internal::RpcMethodHandler<GrpcAccessTag, GrpcAccessTag, GrpcAccessTag, GrpcAccessTag, GrpcAccessTag>;

}  // namespace nearcall::internal

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_GRPC_ACCESS_H_
