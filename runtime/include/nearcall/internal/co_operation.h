#ifndef NEARCALL_INTERNAL_CO_OPERATION_H_
#define NEARCALL_INTERNAL_CO_OPERATION_H_

#include <coroutine>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "nearcall/internal/awaitable_call.h"
#include "nearcall/internal/co_client_stream.h"

namespace nearcall {
namespace internal {

// What co_await finds in the operations of streams and calls. A coroutine counts as suspended when await_suspend begins,
// so its answer may resume it, on another thread, before await_suspend returns: from the start of the operation on
// nothing of the frame, and that includes the awaiter, may be touched. (Not inlined: clang 14 would keep await_suspend's
// variables in the frame.)

// An operation of a stream. `Start` takes a CoWaiter*; false says that the result is there already.
template <class Start>
class [[nodiscard]] CoOperation final : private CoWaiter {
 public:
  explicit CoOperation(Start start) : start_(start) {}

  bool await_ready() const noexcept { return false; }
  ABSL_ATTRIBUTE_NOINLINE bool await_suspend(std::coroutine_handle<> caller) {
    frame = caller.address();
    resume = [](void* address) { std::coroutine_handle<>::from_address(address).resume(); };
    const Start start = start_;
    return start(this);
  }
  bool await_resume() const noexcept { return ok; }

 private:
  const Start start_;
};

// The end of a client's stream.
class [[nodiscard]] CoFinish final : private CoWaiter {
 public:
  explicit CoFinish(CoClientStream* stream) : stream_(stream) {}

  bool await_ready() const noexcept { return false; }
  ABSL_ATTRIBUTE_NOINLINE bool await_suspend(std::coroutine_handle<> caller) {
    frame = caller.address();
    resume = [](void* address) { std::coroutine_handle<>::from_address(address).resume(); };
    CoClientStream* const stream = stream_;
    return stream->Finish(this);
  }
  absl::Status await_resume() const { return stream_->status(); }

 private:
  CoClientStream* const stream_;
};

// A unary call.
template <class Call>
class CoCall final {
 public:
  explicit CoCall(const Call& call) : call_(call) {}

  bool await_ready() const noexcept { return false; }
  ABSL_ATTRIBUTE_NOINLINE void await_suspend(std::coroutine_handle<> caller) {
    const Call call = call_;
    call.Start([this, caller](absl::Status status) {
      status_ = std::move(status);
      caller.resume();
    });
  }
  absl::Status await_resume() { return std::move(status_); }

 private:
  const Call call_;
  absl::Status status_;
};

// `co_await stub->async()->Method(&context, &request, &response)`.
template <class Interface, class Request, class Response>
CoCall<AwaitableCall<Interface, Request, Response>> operator co_await(
    const AwaitableCall<Interface, Request, Response>& call) {
  return CoCall<AwaitableCall<Interface, Request, Response>>(call);
}

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CO_OPERATION_H_
