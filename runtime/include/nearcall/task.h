#ifndef NEARCALL_TASK_H_
#define NEARCALL_TASK_H_

// The coroutines that nearcall/coroutine.h deals in; includes nothing of calls.

#include <coroutine>
#include <type_traits>
#include <utility>

#include "absl/synchronization/notification.h"
#include "nearcall/internal/co_task.h"

namespace nearcall {

// A coroutine that returns a T, or nothing. It begins when it is awaited, once, and then runs on the awaiting thread until
// it waits; an exception that leaves it comes out of the co_await.
//
// Threads: thread-compatible. Owns the coroutine's frame.
template <class T = void>
class [[nodiscard]] Task final {
  static_assert(!std::is_reference_v<T>, "a Task returns a value");

 public:
  using promise_type = internal::TaskPromise<T>;

  Task() = default;
  Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(coroutine_, other.coroutine_);
    return *this;
  }
  ~Task() {
    if (coroutine_) coroutine_.destroy();
  }

  // Begins it and waits for its result.
  internal::TaskResult<T> operator co_await() && noexcept { return internal::TaskResult<T>(coroutine_); }

 private:
  friend class internal::TaskAccess;
  friend class internal::TaskPromise<T>;
  explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

// Begins `task`, which then belongs to itself: nobody waits for it, and an exception that leaves it ends the program.
// Returns when it waits for the first time.
inline void Spawn(Task<void> task) {
  [](Task<void> spawned) -> internal::Detached { co_await std::move(spawned); }(std::move(task));
}

// Begins `task` and blocks until it has ended: its result, or its exception. For main and for tests; a callback thread
// that waits for its own channel would wait for ever.
template <class T>
T BlockOn(Task<T> task) {
  absl::Notification ended;
  [](const Task<T>* blocking, absl::Notification* notification) -> internal::Detached {
    co_await internal::TaskAccess::End(*blocking);
    notification->Notify();
  }(&task, &ended);
  ended.WaitForNotification();
  return internal::TaskAccess::TakeResult(task);
}

namespace internal {

template <class T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_TASK_H_
