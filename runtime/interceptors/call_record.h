#ifndef NEARCALL_RUNTIME_INTERCEPTORS_CALL_RECORD_H_
#define NEARCALL_RUNTIME_INTERCEPTORS_CALL_RECORD_H_

#include <cstddef>
#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "nearcall/interceptor.h"
#include "nearcall/internal/method.h"
#include "runtime/base/clock.h"

namespace nearcall {

MethodInfo InfoOf(const internal::Method& method);

// The listeners of one call, and what they are told of it.
//
// Threads: as CallListener says.
class CallRecord {
 public:
  // Which of Sent and Received goes the listeners' way in.
  enum class Side { kClient, kServer };

  // `owner` is kept for as long as there are listeners: it keeps what they refer to.
  explicit CallRecord(Side side, std::shared_ptr<const void> owner = nullptr)
      : side_(side), began_(MonotonicNanos()), owner_(std::move(owner)) {}
  ~CallRecord() {
    if (!ended_) End(absl::CancelledError("the call was dropped before its end"));
  }
  CallRecord(const CallRecord&) = delete;
  CallRecord& operator=(const CallRecord&) = delete;

  // nullptr is nobody.
  void Add(std::unique_ptr<CallListener> listener) {
    if (listener != nullptr) listeners_.push_back(std::move(listener));
  }
  void Sent(size_t bytes);
  void Received(size_t bytes);
  // The call is over; what comes later does not count.
  void End(const absl::Status& status);
  bool ended() const { return ended_; }

 private:
  template <class Tell>
  void Inwards(const Tell& tell);
  template <class Tell>
  void Outwards(const Tell& tell);

  const Side side_;
  const int64_t began_;
  const std::shared_ptr<const void> owner_;
  bool ended_ = false;
  CallTotals totals_;  // what was sent is the writer's, what was received the reader's
  absl::InlinedVector<std::unique_ptr<CallListener>, 2> listeners_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_INTERCEPTORS_CALL_RECORD_H_
