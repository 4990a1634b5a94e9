#include "nearcall/server_context.h"

#include "absl/strings/str_cat.h"
#include "nearcall/internal/callback_handlers.h"
#include "runtime/base/clock.h"

namespace nearcall {

absl::Time ServerContext::deadline() const { return WallTimeAt(deadline_ns_); }

bool ServerContext::IsCancelled() const {
  if (cancelled_.load(std::memory_order_relaxed)) return true;
  return deadline_ns_ != kNoDeadline && MonotonicNanos() >= deadline_ns_;
}

void ServerContext::TryCancel() const { call_->TryCancel(); }

namespace internal {

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
