#ifndef NEARCALL_INTERNAL_CANCEL_NOTICE_H_
#define NEARCALL_INTERNAL_CANCEL_NOTICE_H_

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "nearcall/internal/mutex.h"

namespace nearcall {
namespace internal {

// A handler's wish to hear that its call was cancelled; shared by the handler and whoever tells it.
//
// Threads: thread-safe. Tell runs the callback under the lock, so that Drop waits for it.
class CancelNotice {
 public:
  explicit CancelNotice(std::function<void()> callback) : callback_(std::move(callback)) {}

  void Tell() {
    MutexLock lock(&mu_);
    if (callback_) std::exchange(callback_, nullptr)();
  }
  void Drop() {
    MutexLock lock(&mu_);
    callback_ = nullptr;
  }

 private:
  Mutex mu_;
  std::function<void()> callback_ ABSL_GUARDED_BY(mu_);
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CANCEL_NOTICE_H_
