#ifndef NEARCALL_INTERNAL_GRPC_SERVICE_H_
#define NEARCALL_INTERNAL_GRPC_SERVICE_H_

#include <deque>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/status.h"
#include "nearcall/generic.h"
#include "nearcall/internal/handlers.h"
#include "nearcall/internal/method.h"
#include "nearcall/server_context.h"
#include "nearcall/service.h"

namespace nearcall {
namespace internal {

// What is behind the generated adapters for servers, which serve an implementation of gRPC's `Service` on nearcall's
// addresses (cc_nearcall_library's grpc_adapter).

// Runs `method` of an implementation with a context of gRPC's that stands for `context`.
absl::Status RunGrpcMethod(ServerContext* context, const std::function<grpc::Status(grpc::ServerContext*)>& method);

// Threads: as nearcall::Service.
class GrpcService : public Service {
 public:
  ~GrpcService() override;

 protected:
  // `implementation` must outlive this.
  explicit GrpcService(grpc::Service* implementation);

  // A method whose virtual function may be called: all of the implementation's methods are synchronous ones.
  bool direct() const { return direct_; }
  // `method` must outlive this.
  template <class S, class Request, class Response,
            grpc::Status (S::*kMethod)(grpc::ServerContext*, const Request*, Response*)>
  void AddUnary(const Method* method, S* implementation) {
    if (!direct()) return AddThroughGrpc(*method);
    AddMethod(method, std::make_unique<Unary<S, Request, Response, kMethod>>(implementation));
  }
  // A method that is reached through a server of gRPC's in this process.
  void AddThroughGrpc(const Method& method);

 private:
  // Calls a method, in the form that UnaryHandler wants.
  template <class S, class Request, class Response,
            grpc::Status (S::*kMethod)(grpc::ServerContext*, const Request*, Response*)>
  class Unary final : public MethodHandler {
   public:
    explicit Unary(S* implementation) : implementation_(implementation), handler_(this) {}
    void Run(ServerCall* call) override { handler_.Run(call); }
    absl::Status Call(ServerContext* context, const Request* request, Response* response) {
      return RunGrpcMethod(context, [this, request, response](grpc::ServerContext* grpc) {
        return (implementation_->*kMethod)(grpc, request, response);
      });
    }

   private:
    S* const implementation_;
    UnaryHandler<Unary, Request, Response, &Unary::Call> handler_;
  };

  grpc::Service* const implementation_;
  const bool direct_;
  std::deque<Method> streams_;
  std::unique_ptr<CallbackGenericService> through_grpc_;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_GRPC_SERVICE_H_
