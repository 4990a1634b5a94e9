#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_LISTENER_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_LISTENER_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/server.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/transport.h"
#include "runtime/transports/grpc/server_call.h"

namespace nearcall::grpc_transport {

// A gRPC server that hands every call to the methods of a nearcall server.
//
// Threads: Listener's functions as it says; calls come from gRPC's threads.
class GrpcListener final : public Listener, private grpc::CallbackGenericService {
 public:
  static absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& address, ServerCore* core);
  explicit GrpcListener(ServerCore* core) : core_(core) {}
  ~GrpcListener() override;

  std::vector<std::string> addresses() const override { return {address_}; }
  int port() const override { return port_; }
  void Start() override;
  void Stop() override;
  void CancelCalls() override;

 private:
  enum class State { kNew, kServing, kStopping };

  absl::Status Bind(const Address& address);
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext* context) override;
  void Begin(GrpcServerCall* call, const std::string& method);
  void Close();

  ServerCore* const core_;
  std::string address_;
  bool in_process_ = false;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::thread closing_;

  absl::Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kNew;
  // The calls that wait for Start, with their methods' names.
  std::vector<std::pair<GrpcServerCall*, std::string>> early_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_set<GrpcServerCall*> calls_ ABSL_GUARDED_BY(mu_);
};

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_LISTENER_H_
