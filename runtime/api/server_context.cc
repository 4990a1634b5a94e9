#include "nearcall/server_context.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "nearcall/internal/callback_handlers.h"
#include "nearcall/internal/cancel_notice.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/server_call.h"
#include "runtime/base/clock.h"

namespace nearcall {

absl::Time ServerContext::deadline() const { return WallTimeAt(deadline_ns_); }

bool ServerContext::DeadlineHasPassed() const { return MonotonicNanos() >= deadline_ns_; }

void ServerContext::TryCancel() const { call_->TryCancel(); }

void ServerContext::SetOnCancel(std::function<void()> callback) {
  auto notice = std::make_shared<internal::CancelNotice>(std::move(callback));
  {
    internal::MutexLock lock(&mu_);
    cancel_notice_ = notice;
  }
  has_cancel_notice_ = true;
  if (deadline_ns_ != kNoDeadline) call_->WatchDeadline();
  // A cancellation comes either before this look, or finds the notice.
  if (IsCancelled()) notice->Tell();
}

absl::StatusOr<Buffer> ServerContext::AllocateBuffer(size_t size) const {
  if (call_ == nullptr) return Buffer(size);  // a handler that is called by a test
  return call_->AllocateBuffer(size);
}

namespace internal {

void ServerContextAccess::DropCancelNotice(ServerContext* context) {
  context->has_cancel_notice_ = false;
  std::shared_ptr<CancelNotice> notice;
  {
    MutexLock lock(&context->mu_);
    notice = std::move(context->cancel_notice_);
  }
  if (notice != nullptr) notice->Drop();
}

absl::Status UnreadableRequest(const ServerContext& context) {
  if (context.IsCancelled()) return absl::CancelledError("the caller gave up before its request was complete");
  return absl::InvalidArgumentError(
      absl::StrCat("the request of ", context.method(), " is missing, or is not a message of the method's type"));
}

absl::Status NoReactor(const ServerContext& context) {
  return absl::UnimplementedError(absl::StrCat(context.method(), " is not implemented"));
}

}  // namespace internal
}  // namespace nearcall
