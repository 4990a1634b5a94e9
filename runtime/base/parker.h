#ifndef NEARCALL_RUNTIME_BASE_PARKER_H_
#define NEARCALL_RUNTIME_BASE_PARKER_H_

#include <atomic>
#include <cstdint>

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

 private:
  static constexpr uint32_t kEmpty = 0, kParked = 1, kNotified = 2;
  // Park's exchange to kParked pairs with Unpark's exchange to kNotified: each sees the other's, and what came before
  // it.
  std::atomic<uint32_t> state_{kEmpty};
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_PARKER_H_
