#ifndef NEARCALL_INTERNAL_MUTEX_H_
#define NEARCALL_INTERNAL_MUTEX_H_

#include <atomic>
#include <cstdint>

#include "absl/base/thread_annotations.h"

namespace nearcall {
namespace internal {

// The locks that every call takes. A lock that nobody else wants costs two locked instructions, here and now:
// absl::Mutex keeps books for its deadlock detector unless abseil was built with NDEBUG, which distributions do not do,
// and std::mutex calls a library that asks what kind of lock it has, which costs a twentieth of a small call. Where a
// thread waits for a condition under the lock, and elsewhere off the path of a call, absl::Mutex it is.
//
// Threads: thread-safe. Not recursive, not fair: who comes by when it is given back may be quicker than who waits.
// Source: U. Drepper, "Futexes Are Tricky" (2011), mutex2.
class ABSL_LOCKABLE Mutex {
 public:
  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    uint32_t expected = kFree;
    if (!state_.compare_exchange_strong(expected, kHeld, std::memory_order_acquire, std::memory_order_relaxed)) Await();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() {
    if (state_.exchange(kFree, std::memory_order_release) == kAwaited) WakeOne();
  }

 private:
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kHeld = 1;
  static constexpr uint32_t kAwaited = 2;  // held, and maybe somebody sleeps until it is free

  // Sleeps until the lock is the caller's.
  void Await();
  void WakeOne();

  // Exchanges that take it (acquire) pair with the one that gives it back (release).
  std::atomic<uint32_t> state_{kFree};
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_MUTEX_H_
