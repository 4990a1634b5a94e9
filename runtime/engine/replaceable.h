#ifndef NEARCALL_RUNTIME_ENGINE_REPLACEABLE_H_
#define NEARCALL_RUNTIME_ENGINE_REPLACEABLE_H_

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/hazard_pointer.h"

namespace nearcall {

// An object, or none, that is used all the time and seldom replaced. A Use counts no references; an object that was
// replaced is let go by the last of its uses.
//
// Threads: thread-safe, but for construction and destruction.
template <class T>
class Replaceable {
 public:
  Replaceable() = default;
  Replaceable(const Replaceable&) = delete;
  Replaceable& operator=(const Replaceable&) = delete;

  // The object, for as long as the caller keeps it. Takes a lock.
  std::shared_ptr<T> Get() const {
    internal::MutexLock lock(&mu_);
    return object_;
  }
  // Puts another one, or none, in its place.
  void Set(std::shared_ptr<T> object) {
    {
      internal::MutexLock lock(&mu_);
      Replace(std::move(object));
    }
    LetGo();
  }
  // The same with none, if it is still `object`.
  void Drop(const T* object) {
    {
      internal::MutexLock lock(&mu_);
      if (object_.get() != object) return;
      Replace(nullptr);
    }
    LetGo();
  }

  // The object, for as long as the Use lives; a thread's own.
  class Use {
   public:
    explicit Use(Replaceable* from) : from_(from), object_(hazard_.Protect(from->current_)) {}
    ~Use() {
      hazard_.Clear();
      // Whoever replaced it meanwhile may have left it to us.
      if (object_ != nullptr && from_->current_.load(std::memory_order_relaxed) != object_) from_->LetGo();
    }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    // nullptr where there is none, or where it can be had by Get alone: inside another use by the same thread, of
    // whatever, and where the kernel has no membarrier.
    T* get() const { return object_; }

   private:
    Replaceable* const from_;
    HazardPointer hazard_;
    T* const object_;
  };

 private:
  void Replace(std::shared_ptr<T> object) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    current_.store(object.get(), std::memory_order_release);  // pairs with Protect
    object_.swap(object);
    if (object != nullptr) replaced_.push_back(std::move(object));
  }
  // Of those that were replaced, the ones that nobody uses any more.
  void LetGo() {
    std::vector<std::shared_ptr<T>> unused;  // let go without the lock
    internal::MutexLock lock(&mu_);
    if (replaced_.empty() || !HazardPointer::BeginDeletion()) return;
    const auto first = std::stable_partition(replaced_.begin(), replaced_.end(), [](const std::shared_ptr<T>& object) {
      return HazardPointer::IsProtected(object.get());
    });
    unused.assign(std::make_move_iterator(first), std::make_move_iterator(replaced_.end()));
    replaced_.erase(first, replaced_.end());
  }

  mutable internal::Mutex mu_;
  std::shared_ptr<T> object_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<T>> replaced_ ABSL_GUARDED_BY(mu_);  // and maybe still in use
  std::atomic<T*> current_{nullptr};                               // object_
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_REPLACEABLE_H_
