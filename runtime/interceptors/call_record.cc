#include "runtime/interceptors/call_record.h"

namespace nearcall {

MethodInfo InfoOf(const internal::Method& method) {
  const internal::MethodType type = method.type();
  const bool bidi = type == internal::MethodType::kBidiStreaming;
  return MethodInfo{method.name(), bidi || type == internal::MethodType::kClientStreaming,
                    bidi || type == internal::MethodType::kServerStreaming, method.number()};
}

template <class Tell>
void CallRecord::Inwards(const Tell& tell) {
  for (auto at = listeners_.begin(); at != listeners_.end(); ++at) tell(at->get());
}

template <class Tell>
void CallRecord::Outwards(const Tell& tell) {
  for (auto at = listeners_.rbegin(); at != listeners_.rend(); ++at) tell(at->get());
}

void CallRecord::Sent(size_t bytes) {
  ++totals_.messages_sent;
  totals_.bytes_sent += static_cast<int64_t>(bytes);
  const auto tell = [bytes](CallListener* listener) { listener->OnMessageSent(bytes); };
  side_ == Side::kClient ? Inwards(tell) : Outwards(tell);
}

void CallRecord::Received(size_t bytes) {
  ++totals_.messages_received;
  totals_.bytes_received += static_cast<int64_t>(bytes);
  const auto tell = [bytes](CallListener* listener) { listener->OnMessageReceived(bytes); };
  side_ == Side::kClient ? Outwards(tell) : Inwards(tell);
}

void CallRecord::End(const absl::Status& status) {
  if (std::exchange(ended_, true) || listeners_.empty()) return;
  totals_.duration = absl::Nanoseconds(MonotonicNanos() - began_);
  Outwards([&](CallListener* listener) { listener->OnEnd(status, totals_); });
  listeners_.clear();
}

}  // namespace nearcall
