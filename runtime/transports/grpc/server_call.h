#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_SERVER_CALL_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_SERVER_CALL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "nearcall/internal/server_call.h"
#include "nearcall/peer.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/worker_pool.h"

namespace nearcall::grpc_transport {

// One call that came in through gRPC. gRPC's reactions note what has happened; handlers and drivers run on the server's
// workers, for gRPC's own threads are few. One message is read ahead.
//
// Threads: as internal::ServerCall says; gRPC's reactions come from any thread.
// Lifetime: deletes itself once its handler, or driver, and gRPC have both done with it.
class GrpcServerCall final : public internal::ServerCall, public Runnable, public grpc::ServerGenericBidiReactor {
  using Tried = internal::Tried;

 public:
  // `on_done` is called last of all.
  GrpcServerCall(ServerCore* core, grpc::GenericCallbackServerContext* context,
                 std::function<void(GrpcServerCall*)> on_done);

  // Serves the call with `method`, or refuses it. Once, one of them.
  void Begin(ServedMethod* method);
  void Refuse(const absl::Status& status, bool surely_not_seen);
  // Cancels the call for both sides: its caller gets `why`, and need not wait for the handler. Any thread, until
  // on_done.
  void Cancel(const absl::Status& why);

  const Peer& peer() const { return peer_; }
  void RunOnWorker() override;

  // --- internal::ServerCall: the handler ---
  ServerContext* context() override { return &context_; }
  bool Read(internal::InMessage message) override;
  bool Write(internal::OutMessage message, WriteOptions options) override;
  bool SendInitialMetadata() override;
  void Finish(const absl::Status& status) override { FinishWith(status, nullptr); }
  void FinishWithMessage(internal::OutMessage message) override { FinishWith(absl::OkStatus(), &message); }
  void TryCancel() override { Cancel(absl::CancelledError("the server cancelled the call")); }
  void WatchDeadline() override {}  // gRPC does

  // --- internal::ServerCall: the driver ---
  void StartDriving(std::shared_ptr<internal::ServerDriver> driver) override;
  void Wake() override;
  Tried TryWrite(internal::OutMessage message, WriteOptions options) override;
  Tried TryRead(internal::InMessage message) override;
  Tried TrySendInitialMetadata() override;
  Tried TryFinish(const absl::Status& status, const internal::OutMessage* message) override;

 private:
  ~GrpcServerCall() override = default;

  // Of a call that has a driver.
  enum class Driving : uint8_t { kNever, kRests, kWaits, kRuns, kRunsAgain, kOver };

  // --- gRPC's reactions ---
  void OnSendInitialMetadataDone(bool ok) override { OnSent(ok); }
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override { OnSent(ok); }
  void OnCancel() override;
  void OnDone() override;

  void OnSent(bool ok);
  // Nobody waits for the answer any more: tells the handler.
  void TellHandler();
  void Dispatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The driver is to look at the call.
  void Moved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Drive();
  bool one_request() const {
    return method_->type == internal::MethodType::kUnary || method_->type == internal::MethodType::kServerStreaming;
  }
  bool Over() const { return context_.IsCancelled(); }
  void AwaitSent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool TakeMessage(internal::InMessage message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void StartMetadata() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // False: the message is over the limit.
  bool StartMessage(internal::OutMessage message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // What the call ends with, its metadata added. *message is null afterwards if it is not to be sent.
  absl::Status Ending(absl::Status status, const internal::OutMessage** message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddInitialMetadata() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishWith(const absl::Status& status, const internal::OutMessage* message);
  void FinishGrpc(const absl::Status& status, const internal::OutMessage* message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unref();

  ServerCore* const core_;
  grpc::GenericCallbackServerContext* const grpc_;
  const std::function<void(GrpcServerCall*)> on_done_;
  const Peer peer_;
  ServedMethod* method_ = nullptr;  // set under mu_
  ServerContext context_;
  bool counted_ = false;

  absl::Mutex mu_;
  int refs_ ABSL_GUARDED_BY(mu_) = 1;  // gRPC's; the handler's, once it is to run
  bool dispatched_ ABSL_GUARDED_BY(mu_) = false;
  bool has_message_ ABSL_GUARDED_BY(mu_) = false;  // in incoming_, and no read is under way
  bool read_all_ ABSL_GUARDED_BY(mu_) = false;
  bool sending_ ABSL_GUARDED_BY(mu_) = false;   // a message, or initial metadata
  bool finished_ ABSL_GUARDED_BY(mu_) = false;  // gRPC has the status; its context is not to be used any more
  bool broken_ ABSL_GUARDED_BY(mu_) = false;    // something could not be sent
  bool metadata_sent_ ABSL_GUARDED_BY(mu_) = false;
  Driving driving_ ABSL_GUARDED_BY(mu_) = Driving::kNever;
  std::shared_ptr<internal::ServerDriver> driver_;  // of the thread in kRuns
  grpc::ByteBuffer incoming_;                       // gRPC's while it reads
  grpc::ByteBuffer outgoing_;                       // gRPC's while it writes
};

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_SERVER_CALL_H_
