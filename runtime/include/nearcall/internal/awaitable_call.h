#ifndef NEARCALL_INTERNAL_AWAITABLE_CALL_H_
#define NEARCALL_INTERNAL_AWAITABLE_CALL_H_

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/client_context.h"

namespace nearcall {
namespace internal {

// A unary call that has not begun: what an asynchronous method without a callback returns, for `co_await`
// (nearcall/coroutine.h, which C++17 does without).
//
// Lifetime: what it points at must live until the call is over; the stub, until it has begun.
template <class Interface, class Request, class Response>
struct [[nodiscard]] AwaitableCall {
  using Method = void (Interface::*)(ClientContext*, const Request*, Response*, std::function<void(absl::Status)>);

  // Begins the call. To be called once.
  void Start(std::function<void(absl::Status)> done) const {
    (async->*method)(context, request, response, std::move(done));
  }

  Interface* async;
  Method method;
  ClientContext* context;
  const Request* request;
  Response* response;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_AWAITABLE_CALL_H_
