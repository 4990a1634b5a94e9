#include "runtime/transports/grpc/call_context.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nearcall/delivery.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/peer.h"
#include "runtime/base/clock.h"
#include "runtime/engine/head.h"
#include "runtime/transports/grpc/convert.h"

namespace nearcall::grpc_transport {

using internal::ClientContextAccess;

GrpcCallContext::GrpcCallContext(ClientContext* context, const std::string& target, int64_t deadline,
                                 std::function<void()> on_cancel)
    : context_(context), target_(target), deadline_(deadline), on_cancel_(std::move(on_cancel)) {
  if (deadline != kNever) grpc_.set_deadline(ToGrpc(deadline));
  grpc_.set_wait_for_ready(context->wait_for_ready());
  for (const Metadata::Pair& pair : context->metadata()) grpc_.AddMetadata(pair.first, pair.second);
  ClientContextAccess::AddSleeper(context_, this);
  // A cancellation either finds the sleeper, or came before this look.
  if (cancelled()) grpc_.TryCancel();
}

bool GrpcCallContext::cancelled() const { return ClientContextAccess::cancelled(*context_); }

bool GrpcCallContext::late() const { return deadline_ != kNever && MonotonicNanos() >= deadline_; }

void GrpcCallContext::OnCancel() {
  grpc_.TryCancel();
  if (on_cancel_) on_cancel_();
}

void GrpcCallContext::Cancel(absl::Status why) {
  {
    internal::MutexLock lock(&mu_);
    local_error_.Update(std::move(why));
  }
  grpc_.TryCancel();
}

void GrpcCallContext::LearnPeer() {
  // Until a connection carries the call, gRPC names the target.
  std::string peer = grpc_.peer();
  if (peer.empty() || peer == "unknown" || peer == target_) return;
  ClientContextAccess::set_peer(context_,
                                std::make_shared<const Peer>(Peer{"grpc", absl::StrCat("grpc:", peer), absl::nullopt}));
}

void GrpcCallContext::TakeInitialMetadata() {
  if (std::exchange(metadata_taken_, true)) return;
  LearnPeer();
  FromGrpc(grpc_.GetServerInitialMetadata(), ClientContextAccess::initial_metadata(context_));
}

absl::Status GrpcCallContext::TakeEnd(const grpc::Status& status) {
  TakeInitialMetadata();
  FromGrpc(grpc_.GetServerTrailingMetadata(), ClientContextAccess::trailing_metadata(context_));
  if (internal::MutexLock lock(&mu_); !local_error_.ok()) return local_error_;
  absl::Status result = FromGrpc(status);
  if (absl::IsUnavailable(result) && context_->transport().empty()) {
    result = absl::UnavailableError(absl::StrCat("grpc:", target_, ": ", result.message()));
    SetDelivery(&result, /*maybe_seen=*/false);
  }
  return result;
}

absl::Status GrpcCallContext::GaveUp() const {
  if (internal::MutexLock lock(&mu_); !local_error_.ok()) return local_error_;
  if (cancelled()) return absl::CancelledError("the caller cancelled the call");
  if (late()) return absl::DeadlineExceededError("the deadline passed before the call was over");
  return absl::OkStatus();
}

void GrpcCallContext::Detach() {
  if (context_ == nullptr) return;
  ClientContextAccess::RemoveSleeper(context_, this);
  context_ = nullptr;
}

absl::Status CheckCall(const ClientContext& context, absl::string_view method, int64_t deadline) {
  if (ClientContextAccess::cancelled(context)) return absl::CancelledError("the caller cancelled the call");
  if (deadline != kNever && MonotonicNanos() >= deadline) {
    return absl::DeadlineExceededError("the deadline had passed before the call began");
  }
  if (absl::Status status = CheckMethodName(method); !status.ok()) return status;
  if (context.metadata().empty()) return absl::OkStatus();
  if (absl::Status status = CheckMetadata(context.metadata()); !status.ok()) return status;
  return EncodeRequestHead(method, context.metadata()).status();  // only whether it is too large
}

}  // namespace nearcall::grpc_transport
