#include "runtime/transports/grpc/server_call.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nearcall/delivery.h"
#include "nearcall/internal/context_access.h"
#include "runtime/base/clock.h"
#include "runtime/engine/head.h"
#include "runtime/transports/grpc/convert.h"
#include "runtime/wire/frame.h"

namespace nearcall::grpc_transport {

using internal::ServerContextAccess;
using internal::Tried;

namespace {

size_t SizeOf(const Metadata& metadata) {
  size_t size = 0;
  for (const Metadata::Pair& pair : metadata) size += pair.first.size() + pair.second.size();
  return size;
}

}  // namespace

GrpcServerCall::GrpcServerCall(ServerCore* core, grpc::GenericCallbackServerContext* context,
                               std::function<void(GrpcServerCall*)> on_done)
    : core_(core),
      grpc_(context),
      on_done_(std::move(on_done)),
      peer_{"grpc", absl::StrCat("grpc:", context->peer()), absl::nullopt} {}

// --- Beginning and ending ---

void GrpcServerCall::Begin(ServedMethod* method) {
  counted_ = true;
  const bool generic = method == core_->generic_method();
  ServerContextAccess::Begin(&context_, this, &peer_, generic ? absl::string_view(grpc_->method()) : method->name,
                             FromGrpc(grpc_->raw_deadline()));
  FromGrpc(grpc_->client_metadata(), ServerContextAccess::client_metadata(&context_));
  absl::MutexLock lock(&mu_);
  method_ = method;
  StartRead(&incoming_);
  // A handler that needs exactly one message starts when that is here, or will not come.
  if (!one_request()) Dispatch();
}

void GrpcServerCall::Refuse(const absl::Status& status, bool surely_not_seen) {
  absl::Status refusal = status;
  if (surely_not_seen) SetDelivery(&refusal, /*maybe_seen=*/false);
  grpc::ServerGenericBidiReactor::Finish(ToGrpc(refusal, /*keep_delivery=*/true));
}

void GrpcServerCall::Dispatch() {
  dispatched_ = true;
  ++refs_;
  if (method_->handler->drives()) {
    core_->workers()->SubmitShort(this);
  } else {
    core_->workers()->Submit(this);
  }
}

void GrpcServerCall::RunOnWorker() {
  {
    absl::MutexLock lock(&mu_);
    if (driving_ == Driving::kWaits) {
      driving_ = Driving::kRuns;
      mu_.Unlock();
      Drive();
      mu_.Lock();
      return;
    }
  }
  // Nobody waits: nobody need work.
  if (Over()) return Finish(absl::DeadlineExceededError("the call was over before its turn came"));
  method_->handler->Run(this);
}

void GrpcServerCall::Unref() {
  bool last;
  {
    absl::MutexLock lock(&mu_);
    last = --refs_ == 0;
  }
  if (!last) return;
  on_done_(this);
  delete this;
}

void GrpcServerCall::Cancel(const absl::Status& why) {
  {
    absl::MutexLock lock(&mu_);
    if (finished_) return;
    // What is on its way to a caller that does not read it would be in the way of the status.
    if (method_ == nullptr || sending_) return grpc_->TryCancel();
    FinishGrpc(why, nullptr);
  }
  TellHandler();
}

// --- gRPC's reactions ---

void GrpcServerCall::OnReadDone(bool ok) {
  absl::MutexLock lock(&mu_);
  if (ok) {
    has_message_ = true;
  } else {
    read_all_ = true;
  }
  if (!dispatched_) return Dispatch();
  Moved();
}

void GrpcServerCall::OnSent(bool ok) {
  // A handler whose Write says false finds its call cancelled, though gRPC says so only later.
  if (!ok) TellHandler();
  absl::MutexLock lock(&mu_);
  sending_ = false;
  if (!ok) broken_ = true;
  Moved();
}

void GrpcServerCall::OnCancel() {
  if (method_ != nullptr) TellHandler();  // otherwise it was refused
}

void GrpcServerCall::TellHandler() {
  ServerContextAccess::Cancel(&context_);
  core_->TellHandler(&context_);
  absl::MutexLock lock(&mu_);  // whoever waits looks again
  Moved();
}

void GrpcServerCall::OnDone() { Unref(); }

// --- A handler that blocks ---

void GrpcServerCall::AwaitSent() {
  const auto sent = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return !sending_; };
  mu_.Await(absl::Condition(&sent));
}

bool GrpcServerCall::TakeMessage(internal::InMessage message) {
  has_message_ = false;
  const bool parsed = FromGrpc(incoming_, message);
  if (one_request()) {
    read_all_ = true;
  } else {
    StartRead(&incoming_);
  }
  return parsed;
}

bool GrpcServerCall::Read(internal::InMessage message) {
  absl::MutexLock lock(&mu_);
  const auto here = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return has_message_ || read_all_ || Over(); };
  mu_.Await(absl::Condition(&here));
  return has_message_ && !ServerContextAccess::cancelled(context_) && TakeMessage(message);
}

bool GrpcServerCall::Write(internal::OutMessage message, WriteOptions) {
  absl::MutexLock lock(&mu_);
  AwaitSent();
  if (Over() || broken_ || !StartMessage(message)) return false;
  AwaitSent();
  return !broken_;
}

bool GrpcServerCall::SendInitialMetadata() {
  absl::MutexLock lock(&mu_);
  AwaitSent();
  if (Over() || broken_) return false;
  StartMetadata();
  return true;
}

void GrpcServerCall::FinishWith(const absl::Status& status, const internal::OutMessage* message) {
  {
    absl::MutexLock lock(&mu_);
    AwaitSent();
    if (!finished_) {
      const absl::Status ending = Ending(status, &message);  // may take the message away
      FinishGrpc(ending, message);
    }
  }
  Unref();
}

// --- What is sent ---

void GrpcServerCall::AddInitialMetadata() {
  metadata_sent_ = true;
  const Metadata& metadata = ServerContextAccess::initial_metadata(context_);
  if (!CheckMetadata(metadata).ok() || SizeOf(metadata) > kMaxHeadSize) return;  // Ending reports it
  for (const Metadata::Pair& pair : metadata) grpc_->AddInitialMetadata(pair.first, pair.second);
}

void GrpcServerCall::StartMetadata() {
  if (metadata_sent_) return;
  AddInitialMetadata();
  sending_ = true;
  StartSendInitialMetadata();
}

bool GrpcServerCall::StartMessage(internal::OutMessage message) {
  const size_t size = message.ByteSize();
  if (!FitsLimit(size, core_->options().max_send_message_bytes)) return false;
  if (!metadata_sent_) AddInitialMetadata();  // they go with the message
  outgoing_ = ToGrpc(message, size);
  sending_ = true;
  StartWrite(&outgoing_);
  return true;
}

absl::Status GrpcServerCall::Ending(absl::Status status, const internal::OutMessage** message) {
  if (!ServerContextAccess::cancelled(context_) && Over()) {
    status.Update(absl::DeadlineExceededError("the deadline passed while the handler read or wrote"));
  }
  if (internal::AttachmentsAccess::outgoing(context_) != nullptr) status.Update(NoAttachments());
  const Metadata& initial = ServerContextAccess::initial_metadata(context_);
  const Metadata& trailing = ServerContextAccess::trailing_metadata(context_);
  absl::Status metadata_status = CheckMetadata(initial);
  metadata_status.Update(CheckMetadata(trailing));
  if (!metadata_status.ok()) {
    status = absl::InternalError(
        absl::StrCat("the handler of ", context_.method(), " added bad ", metadata_status.message()));
  } else {
    if (!metadata_sent_) AddInitialMetadata();
    if (SizeOf(trailing) <= kMaxHeadSize) {
      for (const Metadata::Pair& pair : trailing) grpc_->AddTrailingMetadata(pair.first, pair.second);
    }
  }
  if (*message != nullptr) {
    const int limit = core_->options().max_send_message_bytes;
    const size_t size = (*message)->ByteSize();
    if (!FitsLimit(size, limit)) status.Update(TooLargeToSend(size, limit));
  }
  if (!status.ok()) *message = nullptr;
  return status;
}

void GrpcServerCall::FinishGrpc(const absl::Status& status, const internal::OutMessage* message) {
  finished_ = true;
  if (std::exchange(counted_, false)) core_->calls()->Give(1);
  if (message != nullptr) {
    outgoing_ = ToGrpc(*message, message->ByteSize());
    StartWriteAndFinish(&outgoing_, grpc::WriteOptions(), ToGrpc(status));
  } else {
    grpc::ServerGenericBidiReactor::Finish(ToGrpc(status));
  }
}

// --- A driver ---

void GrpcServerCall::StartDriving(std::shared_ptr<internal::ServerDriver> driver) {
  driver_ = std::move(driver);
  {
    absl::MutexLock lock(&mu_);
    driving_ = Driving::kRuns;
  }
  Drive();
}

void GrpcServerCall::Wake() {
  absl::MutexLock lock(&mu_);
  Moved();
}

void GrpcServerCall::Moved() {
  if (driving_ == Driving::kRests) {
    driving_ = Driving::kWaits;
    core_->workers()->SubmitShort(this);
  } else if (driving_ == Driving::kRuns) {
    driving_ = Driving::kRunsAgain;
  }
}

void GrpcServerCall::Drive() {
  for (;;) {
    const bool over = driver_->Drive();
    absl::MutexLock lock(&mu_);
    if (over) {
      driving_ = Driving::kOver;
      break;
    }
    if (std::exchange(driving_, Driving::kRuns) == Driving::kRuns) {
      driving_ = Driving::kRests;
      return;
    }
  }
  std::exchange(driver_, nullptr)->OnDone();
  Unref();
}

Tried GrpcServerCall::TryRead(internal::InMessage message) {
  absl::MutexLock lock(&mu_);
  if (ServerContextAccess::cancelled(context_)) return Tried::kOver;
  if (has_message_) return TakeMessage(message) ? Tried::kDone : Tried::kOver;
  return read_all_ || Over() ? Tried::kOver : Tried::kNotYet;
}

Tried GrpcServerCall::TryWrite(internal::OutMessage message, WriteOptions) {
  absl::MutexLock lock(&mu_);
  if (Over() || broken_) return Tried::kOver;
  if (sending_) return Tried::kNotYet;
  return StartMessage(message) ? Tried::kDone : Tried::kOver;
}

Tried GrpcServerCall::TrySendInitialMetadata() {
  absl::MutexLock lock(&mu_);
  if (metadata_sent_) return Tried::kDone;
  if (Over() || broken_) return Tried::kOver;
  if (sending_) return Tried::kNotYet;
  StartMetadata();
  return Tried::kDone;
}

Tried GrpcServerCall::TryFinish(const absl::Status& status, const internal::OutMessage* message) {
  absl::MutexLock lock(&mu_);
  if (finished_) return Tried::kOver;
  if (sending_) return Tried::kNotYet;
  const bool cancelled = ServerContextAccess::cancelled(context_);
  const absl::Status ending = Ending(status, &message);  // may take the message away
  FinishGrpc(ending, message);
  return cancelled ? Tried::kOver : Tried::kDone;
}

}  // namespace nearcall::grpc_transport
