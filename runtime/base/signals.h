#ifndef NEARCALL_RUNTIME_BASE_SIGNALS_H_
#define NEARCALL_RUNTIME_BASE_SIGNALS_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

namespace nearcall {

// Has `callback` called with the number of each of `signals` that this process receives, on a thread of its own, as long
// as the object lives; then they do what they did before. A handler and a pipe, rather than a signalfd: that would need
// every thread of the program to block the signals. A forked child has its parent's old handlers again.
//
// Threads: thread-safe. The destructor waits for a callback that runs, and must not be called by one.
class SignalSubscription {
 public:
  // INVALID_ARGUMENT for a signal that cannot be caught.
  static absl::StatusOr<std::unique_ptr<SignalSubscription>> Make(const std::vector<int>& signals,
                                                                  std::function<void(int)> callback);
  ~SignalSubscription();
  SignalSubscription(const SignalSubscription&) = delete;
  SignalSubscription& operator=(const SignalSubscription&) = delete;

 private:
  SignalSubscription(std::vector<int> signals, std::function<void(int)> callback)
      : signals_(std::move(signals)), callback_(std::move(callback)) {}

  friend class SignalHub;
  const std::vector<int> signals_;
  const std::function<void(int)> callback_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_SIGNALS_H_
