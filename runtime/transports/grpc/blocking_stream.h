#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_BLOCKING_STREAM_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_BLOCKING_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/sync_stream.h"
#include "nearcall/channel.h"
#include "nearcall/internal/client_call.h"
#include "runtime/transports/grpc/call_context.h"

namespace nearcall::grpc_transport {

// A streaming call whose caller blocks, on gRPC's synchronous stream: the waiting thread itself polls for its call.
//
// Threads: as internal::ClientCall says.
class GrpcBlockingStream final : public internal::ClientCall {
 public:
  // Sends the request; blocks until there is a connection for it, or there will be none. `owner` lives as long as the
  // call.
  GrpcBlockingStream(std::shared_ptr<const void> owner, grpc::ChannelInterface* channel, const std::string& target,
                     const ChannelOptions& options, const internal::Method& method, ClientContext* context,
                     int64_t deadline);
  ~GrpcBlockingStream() override;

  bool Write(internal::OutMessage message, WriteOptions options) override;
  bool WritesDone() override;
  bool Read(internal::InMessage message) override;
  void WaitForInitialMetadata() override;
  absl::Status Finish() override;

  // It has no driver.
  internal::Tried TryWrite(internal::OutMessage, WriteOptions) override { return internal::Tried::kOver; }
  internal::Tried TryWritesDone() override { return internal::Tried::kOver; }
  internal::Tried TryRead(internal::InMessage) override { return internal::Tried::kOver; }
  internal::Tried TryWaitForInitialMetadata() override { return internal::Tried::kOver; }
  internal::Tried TryFinish(absl::Status*) override { return internal::Tried::kNotYet; }

 private:
  using Stream = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  bool ReadBytes(grpc::ByteBuffer* bytes);

  const std::shared_ptr<const void> owner_;
  const ChannelOptions& options_;
  GrpcCallContext context_;
  std::unique_ptr<Stream> stream_;
  bool writes_done_ = false;   // the writer's
  bool reads_done_ = false;    // the reader's
  bool has_metadata_ = false;  // the reader's
  bool finished_ = false;
};

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_BLOCKING_STREAM_H_
