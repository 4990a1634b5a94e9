#ifndef NEARCALL_RUNTIME_BASE_PARKER_H_
#define NEARCALL_RUNTIME_BASE_PARKER_H_

#include <atomic>
#include <cstdint>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace nearcall {

// One thread's place to sleep: a binary semaphore on a futex, inside one process. An Unpark that comes first is kept,
// so that the next Park returns at once; Park may also return for no reason, so callers loop on their condition.
//
// Threads: Park by the owning thread only, Unpark by any. Each thread has one (ForThisThread), so an Unpark that comes
// late finds memory that is still there, or a futex call that fails harmlessly.
class Parker {
 public:
  static Parker* ForThisThread();

  // Sleeps until Unpark, or until `deadline` (monotonic nanoseconds; kNever: no limit). False when the time is up.
  bool Park(int64_t deadline);
  void Unpark();
  // How many sleeping threads the calling thread has woken so far, modulo 2^32.
  static uint32_t WokenByThisThread() { return Woken(); }

 private:
  static uint32_t& Woken() {
    static thread_local uint32_t woken = 0;
    return woken;
  }

  static constexpr uint32_t kEmpty = 0, kParked = 1, kNotified = 2;
  // Park's exchange to kParked pairs with Unpark's exchange to kNotified: each sees the other's, and what came before
  // it.
  std::atomic<uint32_t> state_{kEmpty};
};

// Threads that wait for something that a mutex guards, until a time on the monotonic clock. (abseil's own timed waits
// are on the wall clock, which may jump.)
//
// Threads: every function under the mutex.
class Waiters {
 public:
  // Gives the mutex up until NotifyAll; may also return for no reason. False when the time is up.
  bool Wait(absl::Mutex* mu, int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void NotifyAll() {
    for (Parker* const parker : parkers_) parker->Unpark();
  }

 private:
  std::vector<Parker*> parkers_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_PARKER_H_
