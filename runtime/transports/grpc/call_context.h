#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_CALL_CONTEXT_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_CALL_CONTEXT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "grpcpp/client_context.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/cancellable.h"
#include "nearcall/internal/mutex.h"

namespace nearcall::grpc_transport {

// A caller's context, and gRPC's for the call that is made with it. Cancelling the one cancels the other.
//
// Threads: thread-compatible, but for Cancel.
// Lifetime: the caller's context must live until Detach.
class GrpcCallContext final : private internal::Cancellable {
 public:
  // `target` is what the channel's target is called, `deadline` on the monotonic clock.
  // `on_cancel` is told that the caller has cancelled, under the context's lock: it must be short.
  GrpcCallContext(ClientContext* context, const std::string& target, int64_t deadline,
                  std::function<void()> on_cancel = nullptr);
  ~GrpcCallContext() { Detach(); }

  grpc::ClientContext* grpc() { return &grpc_; }
  ClientContext* callers() const { return context_; }
  // Whether the caller cancelled, or the deadline has passed.
  bool cancelled() const;
  bool late() const;
  // Ends gRPC's call. With `why` other than OK, that is what the call came to.
  void Cancel(absl::Status why = absl::OkStatus());

  // A stream has begun: the caller's context learns who carries it, once that is known.
  void LearnPeer();
  // The server's initial metadata is there, or, at the end, all that it said. What the call came to.
  void TakeInitialMetadata();
  absl::Status TakeEnd(const grpc::Status& status);
  // What a call came to whose end is not waited for. OK: there is no reason to give it up.
  absl::Status GaveUp() const;
  // Lets go of the caller's context.
  void Detach();

 private:
  void OnCancel() override;

  ClientContext* context_;
  const std::string& target_;
  const int64_t deadline_;
  const std::function<void()> on_cancel_;
  grpc::ClientContext grpc_;
  mutable internal::Mutex mu_;
  absl::Status local_error_ ABSL_GUARDED_BY(mu_);
  bool metadata_taken_ = false;
};

// Why a call must not begin; OK if it may.
absl::Status CheckCall(const ClientContext& context, absl::string_view method, int64_t deadline);

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_CALL_CONTEXT_H_
