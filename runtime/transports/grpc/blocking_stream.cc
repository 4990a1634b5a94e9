#include "runtime/transports/grpc/blocking_stream.h"

#include <utility>

#include "absl/status/status.h"
#include "nearcall/internal/method.h"
#include "runtime/engine/pending_call.h"
#include "runtime/transports/grpc/convert.h"

namespace nearcall::grpc_transport {

GrpcBlockingStream::GrpcBlockingStream(std::shared_ptr<const void> owner, grpc::ChannelInterface* channel,
                                       const std::string& target, const ChannelOptions& options,
                                       const internal::Method& method, ClientContext* context, int64_t deadline)
    : owner_(std::move(owner)), options_(options), context_(context, target, deadline) {
  const grpc::internal::RpcMethod rpc(method.name().data(), grpc::internal::RpcMethod::BIDI_STREAMING);
  stream_.reset(grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(channel, rpc,
                                                                                                      context_.grpc()));
  context_.LearnPeer();
}

GrpcBlockingStream::~GrpcBlockingStream() {
  if (finished_) return;
  context_.Cancel();
  Finish().IgnoreError();
}

bool GrpcBlockingStream::Write(internal::OutMessage message, WriteOptions options) {
  if (writes_done_ || context_.cancelled()) return false;
  const size_t size = message.ByteSize();
  if (!FitsLimit(size, options_.max_send_message_bytes)) {
    context_.Cancel(TooLargeToSend(size, options_.max_send_message_bytes));
    return false;
  }
  writes_done_ = options.last_message;
  grpc::WriteOptions how;
  if (options.last_message) how.set_last_message();
  return stream_->Write(ToGrpc(message, size), how);
}

bool GrpcBlockingStream::WritesDone() {
  if (std::exchange(writes_done_, true) || context_.cancelled()) return false;
  return stream_->WritesDone();
}

bool GrpcBlockingStream::ReadBytes(grpc::ByteBuffer* bytes) {
  if (reads_done_) return false;
  reads_done_ = !stream_->Read(bytes);
  has_metadata_ = true;
  if (!reads_done_) context_.TakeInitialMetadata();
  return !reads_done_;
}

bool GrpcBlockingStream::Read(internal::InMessage message) {
  grpc::ByteBuffer bytes;
  if (context_.cancelled() || !ReadBytes(&bytes)) return false;
  if (FromGrpc(bytes, message)) return true;
  context_.Cancel(UnreadableResponse());
  return false;
}

void GrpcBlockingStream::WaitForInitialMetadata() {
  if (std::exchange(has_metadata_, true)) return;
  stream_->WaitForInitialMetadata();
  context_.TakeInitialMetadata();
}

absl::Status GrpcBlockingStream::Finish() {
  // gRPC tells the end of a call that ended well only after its messages.
  grpc::ByteBuffer dropped;
  while (ReadBytes(&dropped)) {
  }
  finished_ = true;
  return context_.TakeEnd(stream_->Finish());
}

}  // namespace nearcall::grpc_transport
