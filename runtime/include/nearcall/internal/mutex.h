#ifndef NEARCALL_INTERNAL_MUTEX_H_
#define NEARCALL_INTERNAL_MUTEX_H_

#include <mutex>

#include "absl/base/thread_annotations.h"

namespace nearcall {
namespace internal {

// std::mutex with annotations, for the locks that every call takes: absl::Mutex keeps books for its deadlock detector
// unless abseil was built with NDEBUG, which distributions do not do, and that costs more than a small call. Where a
// thread waits for a condition under the lock, and elsewhere off the path of a call, absl::Mutex it is.
//
// Threads: thread-safe.
class ABSL_LOCKABLE Mutex {
 public:
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }

 private:
  std::mutex mu_;
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
