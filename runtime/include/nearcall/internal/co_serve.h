#ifndef NEARCALL_INTERNAL_CO_SERVE_H_
#define NEARCALL_INTERNAL_CO_SERVE_H_

#include <utility>

#include "absl/status/status.h"
#include "nearcall/internal/co_operation.h"
#include "nearcall/internal/co_task.h"
#include "nearcall/internal/handlers.h"
#include "nearcall/server_reactor.h"
#include "nearcall/task.h"

namespace nearcall {
namespace internal {

// What a handler's coroutine waits for on the reactor of its call. The reactor sets a waiter before it starts the
// operation, and its reaction takes it: the driver's lock is between the two.
inline void Answer(CoWaiter** slot, bool ok) {
  if (*slot != nullptr) std::exchange(*slot, nullptr)->Resume(ok);
}

// The reactor of a unary method. Goes with its call.
class CoServerUnary final : public ServerUnaryReactor {
  void OnDone() override { delete this; }
};

// Runs the task that `make()` returns and finishes the call with its status; an exception of either becomes UNKNOWN, and
// a call that is cancelled before it begins is not begun. Whatever belongs to the task is gone before the call is.
template <class Make>
Detached Serve(const ServerContext* context, ServerReactor* reactor, Make make) {
  absl::Status status = absl::CancelledError("the call was over before its turn came");
  {
    Make here = std::move(make);
    Task<absl::Status> task;
    if (!context->IsCancelled()) {
      status = RunCatching([&] {
        task = here();
        return absl::OkStatus();
      });
      if (status.ok()) {
        co_await TaskAccess::End(task);
        status = RunCatching([&] { return TaskAccess::TakeResult(task); });
      }
    }
  }
  reactor->driver()->Finish(std::move(status));
}

// The stream that a handler takes: `Stream` of `Task<absl::Status>(Stream*)`. What is no handler has no Type, which is
// no error: a compiler may look at it to find the overload for something else.
template <class Handler>
struct StreamOf {};
template <class Handler>
requires requires { &Handler::operator(); }
struct StreamOf<Handler> : StreamOf<decltype(&Handler::operator())> {};
template <class Handler, class Stream>
struct StreamOf<Task<absl::Status> (Handler::*)(Stream*) const> {
  using Type = Stream;
};
template <class Handler, class Stream>
struct StreamOf<Task<absl::Status> (Handler::*)(Stream*)> {
  using Type = Stream;
};
template <class Stream>
struct StreamOf<Task<absl::Status> (*)(Stream*)> {
  using Type = Stream;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CO_SERVE_H_
