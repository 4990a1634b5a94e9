#ifndef NEARCALL_INTERNAL_CO_TASK_H_
#define NEARCALL_INTERNAL_CO_TASK_H_

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

namespace nearcall {

template <class T>
class Task;

namespace internal {

// What the promises of all tasks have in common: a task begins when it is awaited, and when it ends it goes on with who
// awaits it, by symmetric transfer: a chain of tasks that end without waiting uses no stack.
class TaskPromiseBase {
 public:
  struct Ending {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      return ended.promise().continuation_;
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  Ending final_suspend() const noexcept { return {}; }
  void set_continuation(std::coroutine_handle<> continuation) { continuation_ = continuation; }

 private:
  std::coroutine_handle<> continuation_;
};

template <class T>
class TaskPromise final : public TaskPromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U = T>
    requires std::is_convertible_v<U&&, T>
  void return_value(U&& value) {
    result_.template emplace<1>(std::forward<U>(value));
  }
  void unhandled_exception() noexcept { result_.template emplace<2>(std::current_exception()); }

  // Once, after the end.
  T TakeResult() {
    if (result_.index() == 2) std::rethrow_exception(std::get<2>(std::move(result_)));
    return std::get<1>(std::move(result_));
  }

 private:
  std::variant<std::monostate, T, std::exception_ptr> result_;
};

template <>
class TaskPromise<void> final : public TaskPromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { exception_ = std::current_exception(); }

  void TakeResult() {
    if (exception_ != nullptr) std::rethrow_exception(std::exchange(exception_, nullptr));
  }

 private:
  std::exception_ptr exception_;
};

// Begins a task and waits for its end; the result stays where it is.
template <class T>
class TaskEnd {
 public:
  explicit TaskEnd(std::coroutine_handle<TaskPromise<T>> task) : task_(task) {}

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) const noexcept {
    task_.promise().set_continuation(caller);
    return task_;
  }
  void await_resume() const noexcept {}

 protected:
  std::coroutine_handle<TaskPromise<T>> task_;
};

// The same, and takes the result.
template <class T>
class TaskResult final : public TaskEnd<T> {
 public:
  using TaskEnd<T>::TaskEnd;
  T await_resume() const { return this->task_.promise().TakeResult(); }
};

// The way into a Task.
class TaskAccess {
 public:
  template <class T>
  static TaskEnd<T> End(const Task<T>& task) {
    return TaskEnd<T>(task.coroutine_);
  }
  template <class T>
  static T TakeResult(const Task<T>& task) {
    return task.coroutine_.promise().TakeResult();
  }
};

// A coroutine that nobody waits for: it begins at once, and its frame goes when it ends. An exception that leaves it ends
// the program.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CO_TASK_H_
