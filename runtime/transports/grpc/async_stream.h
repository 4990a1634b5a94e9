#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_ASYNC_STREAM_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_ASYNC_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "grpcpp/alarm.h"
#include "grpcpp/channel.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/client_callback.h"
#include "nearcall/channel.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/mutex.h"
#include "runtime/transports/grpc/call_context.h"
#include "runtime/transports/grpc/runner.h"

namespace nearcall::grpc_transport {

// A streaming call with a driver, on gRPC's callback stream. gRPC's reactions only note what has happened and have the
// driver look at the call, on the channel's thread. Messages are read ahead, up to the stream's window.
//
// gRPC holds the call (AddHold) until no message follows: until then operations may be started from any thread.
//
// Threads: the Try functions are the driver's; gRPC's reactions and Wake come from any thread.
// Lifetime: deletes itself, on the channel's thread, when the driver, gRPC and the deadline's alarm have each let go of
// it.
class GrpcAsyncStream final : public internal::ClientCall,
                              public internal::CallWaker,
                              private grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
  using Tried = internal::Tried;

 public:
  // `owner`, the channel, lives as long as the call, and `runner` with it.
  GrpcAsyncStream(std::shared_ptr<const void> owner, Runner* runner, const std::string& target,
                  const ChannelOptions& options, ClientContext* context, int64_t deadline,
                  std::shared_ptr<internal::ClientDriver> driver);

  void Start(grpc::ChannelInterface* channel, const internal::Method& method);
  void Wake() override;

  Tried TryWrite(internal::OutMessage message, WriteOptions options) override;
  Tried TryWritesDone() override;
  Tried TryRead(internal::InMessage message) override;
  Tried TryWaitForInitialMetadata() override;
  Tried TryFinish(absl::Status* status) override;

  // It has a driver, which does not block.
  bool Write(internal::OutMessage, WriteOptions) override { return false; }
  bool WritesDone() override { return false; }
  bool Read(internal::InMessage) override { return false; }
  void WaitForInitialMetadata() override {}
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  ~GrpcAsyncStream() override = default;

  // --- gRPC's reactions ---
  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnWritesDoneDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  void WakeLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Drive();
  // Whether no operation may be started any more. The driver.
  bool OverOrGivenUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads ahead, as far as the window allows.
  void ReadOn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // gRPC may end the call without us.
  void LetGo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Unref();

  std::shared_ptr<const void> owner_;
  Runner* const runner_;
  const ChannelOptions& options_;
  const int64_t deadline_;
  const std::shared_ptr<internal::ClientDriver> driver_;
  grpc::Alarm alarm_;

  internal::Mutex mu_;
  int refs_ ABSL_GUARDED_BY(mu_) = 2;        // the driver's and gRPC's; the alarm's, if there is a deadline
  bool woken_ ABSL_GUARDED_BY(mu_) = false;  // Drive is to run
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;  // the driver has done with the call
  bool held_ ABSL_GUARDED_BY(mu_) = true;     // until no message follows
  bool has_metadata_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<grpc::ByteBuffer> messages_ ABSL_GUARDED_BY(mu_);
  size_t message_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // of messages_
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool writes_done_ ABSL_GUARDED_BY(mu_) = false;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mu_);
  grpc::ByteBuffer incoming_;  // gRPC's while it reads
  grpc::ByteBuffer outgoing_;  // gRPC's while it writes
  GrpcCallContext context_;    // last: it may wake the rest
};

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_ASYNC_STREAM_H_
