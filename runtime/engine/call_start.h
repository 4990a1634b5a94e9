#ifndef NEARCALL_RUNTIME_ENGINE_CALL_START_H_
#define NEARCALL_RUNTIME_ENGINE_CALL_START_H_

#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/method.h"
#include "runtime/base/clock.h"

namespace nearcall {

// What every kind of channel does when a call begins, and when its last owner lets it go.

// A call's context has served another one. FAILED_PRECONDITION.
absl::Status ContextUsedTwice();
// The channel to `address` is a forked child's copy of its parent's. FAILED_PRECONDITION.
absl::Status ChannelOfTheParent(const std::string& address);
// When a call that begins now must be over (MonotonicNanos), or kNever: by its context, or by its method's default.
inline int64_t DeadlineOf(const internal::Method& method, const ClientContext& context) {
  const int64_t deadline = internal::ClientContextAccess::MonotonicDeadline(context);
  const int64_t timeout = method.traits().timeout_ns;
  return deadline == kNever && timeout > 0 ? MonotonicNanos() + timeout : deadline;
}

// The deleter of a channel with callbacks. A forked child leaves its copy alone: its threads are not there, and to take
// it apart would be to shut the parent's connection. A callback's thread cannot wait for its own end.
template <class C>
void DeleteChannel(C* channel) {
  if (channel->inherited()) return;
  if (channel->OnCallbackThread()) {
    std::thread([channel] { delete channel; }).detach();
  } else {
    delete channel;
  }
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_CALL_START_H_
