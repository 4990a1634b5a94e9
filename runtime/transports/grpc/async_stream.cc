#include "runtime/transports/grpc/async_stream.h"

#include <utility>

#include "absl/status/status.h"
#include "nearcall/internal/method.h"
#include "runtime/base/clock.h"
#include "runtime/engine/pending_call.h"
#include "runtime/transports/grpc/convert.h"

namespace nearcall::grpc_transport {

using internal::MutexLock;
using internal::Tried;

GrpcAsyncStream::GrpcAsyncStream(std::shared_ptr<const void> owner, Runner* runner, const std::string& target,
                                 const ChannelOptions& options, ClientContext* context, int64_t deadline,
                                 std::shared_ptr<internal::ClientDriver> driver)
    : owner_(std::move(owner)),
      runner_(runner),
      options_(options),
      deadline_(deadline),
      driver_(std::move(driver)),
      context_(context, target, deadline, [this] { Wake(); }) {}

void GrpcAsyncStream::Start(grpc::ChannelInterface* channel, const internal::Method& method) {
  const grpc::internal::RpcMethod rpc(method.name().data(), grpc::internal::RpcMethod::BIDI_STREAMING);
  grpc::internal::ClientCallbackReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(channel, rpc,
                                                                                                context_.grpc(), this);
  if (deadline_ != kNever) {
    {
      MutexLock lock(&mu_);
      ++refs_;
    }
    alarm_.Set(ToGrpc(deadline_), [this](bool) {
      Wake();
      Unref();
    });
  }
  AddHold();
  MutexLock lock(&mu_);
  ReadOn();
  StartCall();
  started_ = true;
  WakeLocked();  // its driver may have something for it already
}

// --- Who drives ---

void GrpcAsyncStream::Wake() {
  MutexLock lock(&mu_);
  WakeLocked();
}

void GrpcAsyncStream::WakeLocked() {
  if (!started_ || closed_ || std::exchange(woken_, true)) return;
  runner_->Post([this] { Drive(); });
}

void GrpcAsyncStream::Drive() {
  {
    MutexLock lock(&mu_);
    woken_ = false;
    if (closed_) return;
  }
  absl::Status status;
  if (!driver_->Drive(this, &status)) return;
  context_.Detach();
  alarm_.Cancel();
  driver_->OnDone(status);
  Unref();
}

void GrpcAsyncStream::Unref() {
  bool last;
  {
    MutexLock lock(&mu_);
    last = --refs_ == 0;
  }
  if (!last) return;
  // Not here: this may be a thread of gRPC's. The call's context holds gRPC's channel, and the last to let go of that
  // waits for gRPC's threads to end. A thread that so waits for itself gets an error, which gRPC 1.51 takes for its
  // end: it frees the queue that the thread then goes on with. On the runner the owner still holds the channel; and
  // what was posted before finds the call.
  runner_->Post([this] {
    const std::shared_ptr<const void> owner = std::move(owner_);
    delete this;
  });
}

// --- gRPC's reactions ---

void GrpcAsyncStream::OnReadInitialMetadataDone(bool ok) {
  MutexLock lock(&mu_);
  has_metadata_ = ok;
  WakeLocked();
}

void GrpcAsyncStream::OnReadDone(bool ok) {
  MutexLock lock(&mu_);
  reading_ = false;
  if (ok) {
    message_bytes_ += incoming_.Length();
    messages_.push_back(incoming_);
    incoming_.Clear();
    ReadOn();
  } else {
    LetGo();
  }
  WakeLocked();
}

void GrpcAsyncStream::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  writing_ = false;
  if (!ok) writes_done_ = true;
  WakeLocked();
}

void GrpcAsyncStream::OnWritesDoneDone(bool) { OnWriteDone(true); }

void GrpcAsyncStream::OnDone(const grpc::Status& status) {
  {
    MutexLock lock(&mu_);
    done_ = true;
    status_ = status;
    WakeLocked();
  }
  Unref();
}

void GrpcAsyncStream::ReadOn() {
  if (reading_ || !held_ || message_bytes_ > static_cast<size_t>(options_.stream_window_bytes)) return;
  reading_ = true;
  StartRead(&incoming_);
}

void GrpcAsyncStream::LetGo() {
  if (std::exchange(held_, false)) RemoveHold();
}

// --- The driver ---

bool GrpcAsyncStream::OverOrGivenUp() { return !held_ || !context_.GaveUp().ok(); }

Tried GrpcAsyncStream::TryWrite(internal::OutMessage message, WriteOptions options) {
  MutexLock lock(&mu_);
  if (OverOrGivenUp()) return Tried::kOver;
  if (writing_) return Tried::kNotYet;
  if (writes_done_) return Tried::kOver;
  const size_t size = message.ByteSize();
  if (!FitsLimit(size, options_.max_send_message_bytes)) {
    context_.Cancel(TooLargeToSend(size, options_.max_send_message_bytes));
    return Tried::kOver;
  }
  outgoing_ = ToGrpc(message, size);
  writing_ = true;
  writes_done_ = options.last_message;
  grpc::WriteOptions how;
  if (options.last_message) {
    StartWriteLast(&outgoing_, how);
  } else {
    StartWrite(&outgoing_, how);
  }
  return Tried::kDone;
}

Tried GrpcAsyncStream::TryWritesDone() {
  MutexLock lock(&mu_);
  if (OverOrGivenUp()) return Tried::kOver;
  if (writing_) return Tried::kNotYet;
  if (std::exchange(writes_done_, true)) return Tried::kOver;
  writing_ = true;
  StartWritesDone();
  return Tried::kDone;
}

Tried GrpcAsyncStream::TryRead(internal::InMessage message) {
  MutexLock lock(&mu_);
  if (closed_ || context_.cancelled()) return Tried::kOver;
  // The metadata come first, though gRPC's reactions may not.
  if (messages_.empty() || !has_metadata_) return OverOrGivenUp() && messages_.empty() ? Tried::kOver : Tried::kNotYet;
  const grpc::ByteBuffer bytes = messages_.front();
  messages_.pop_front();
  message_bytes_ -= bytes.Length();
  ReadOn();
  if (FromGrpc(bytes, message)) return Tried::kDone;
  context_.Cancel(UnreadableResponse());
  return Tried::kOver;
}

Tried GrpcAsyncStream::TryWaitForInitialMetadata() {
  MutexLock lock(&mu_);
  // gRPC also says so where no server was found.
  context_.LearnPeer();
  if (!has_metadata_ || context_.callers()->transport().empty())
    return done_ || OverOrGivenUp() ? Tried::kOver : Tried::kNotYet;
  context_.TakeInitialMetadata();
  return Tried::kDone;
}

Tried GrpcAsyncStream::TryFinish(absl::Status* status) {
  MutexLock lock(&mu_);
  const absl::Status gave_up = context_.GaveUp();
  if (done_ && gave_up.ok() && status_.ok() && !messages_.empty()) return Tried::kNotYet;
  if (done_) {
    *status = context_.TakeEnd(status_);
  } else if (!gave_up.ok()) {
    context_.Cancel();
    *status = gave_up;
    LetGo();
  } else {
    return Tried::kNotYet;
  }
  closed_ = true;
  LetGo();
  return Tried::kDone;
}

}  // namespace nearcall::grpc_transport
