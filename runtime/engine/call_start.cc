#include "runtime/engine/call_start.h"

#include "absl/strings/str_cat.h"
#include "nearcall/internal/context_access.h"
#include "runtime/base/clock.h"

namespace nearcall {

absl::Status ContextUsedTwice() {
  return absl::FailedPreconditionError("this ClientContext has served a call already: make one for each call");
}

absl::Status ChannelOfTheParent(const std::string& address) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the channel to ", address, " was made before this process was forked and is its parent's: make a new one"));
}

int64_t DeadlineOf(const internal::Method& method, const ClientContext& context) {
  const int64_t deadline = internal::ClientContextAccess::MonotonicDeadline(context);
  const int64_t timeout = method.traits().timeout_ns;
  return deadline == kNever && timeout > 0 ? MonotonicNanos() + timeout : deadline;
}

}  // namespace nearcall
