#ifndef NEARCALL_RUNTIME_ENGINE_ASYNC_CALL_H_
#define NEARCALL_RUNTIME_ENGINE_ASYNC_CALL_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/cancellable.h"
#include "nearcall/internal/client_call.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/pending_call.h"

namespace nearcall {

class AsyncCaller;

// One asynchronous call: an object of its own from its start until its callback has run. The channel's AsyncCaller owns
// it, begins it, and looks at it whenever it has moved.
//
// Threads: the caller's, but for OnMove and OnCancel.
class AsyncCall : public CallObserver, private internal::Cancellable {
 public:
  AsyncCall(const internal::Method& method, ClientContext* context, int64_t deadline)
      : method_(method), context_(context), deadline_(deadline) {}
  virtual ~AsyncCall() = default;

  ClientContext* context() const { return context_; }
  int64_t deadline() const { return deadline_; }
  bool cancelled() const;

  // Begins the call on a connection. May block while the connection has no room for the request.
  virtual CallOutcome Begin(std::shared_ptr<ClientConnection> connection) = 0;
  // The call could not be begun, or not in time: Drive will say so.
  virtual void Fail(CallOutcome outcome) = 0;
  // Looks what has become of the call; its outcome, once it is over or given up.
  virtual std::optional<CallOutcome> Drive() = 0;
  // Runs the callback, last of all.
  virtual void Done(absl::Status status) = 0;

  void OnMove() final;

 protected:
  const internal::Method& method() const { return method_; }
  // Whether nobody waits for the call any more.
  bool GivenUp() const;

 private:
  friend class AsyncCaller;
  void OnCancel() final;

  const internal::Method& method_;
  ClientContext* const context_;
  const int64_t deadline_;
  AsyncCaller* caller_ = nullptr;
  int attempts_ = 0;
  std::atomic<bool> queued_{false};  // it is among those that its caller is to look at
};

// A unary call with a callback.
class AsyncUnary final : public AsyncCall {
 public:
  AsyncUnary(const internal::Method& method, ClientContext* context, int64_t deadline, internal::OutMessage request,
             internal::InMessage response, std::function<void(absl::Status)> done)
      : AsyncCall(method, context, deadline), call_(context, response), request_(request), done_(std::move(done)) {
    call_.observer = this;
  }

  CallOutcome Begin(std::shared_ptr<ClientConnection> connection) override;
  void Fail(CallOutcome outcome) override;
  std::optional<CallOutcome> Drive() override;
  void Done(absl::Status status) override { done_(std::move(status)); }

 private:
  PendingCall call_;
  const internal::OutMessage request_;
  const std::function<void(absl::Status)> done_;
  std::shared_ptr<ClientConnection> connection_;  // that it was begun on
  CallOutcome failure_;
};

// A streaming call with a driver.
class AsyncStream final : public AsyncCall, public internal::CallWaker {
 public:
  // `owner` is what the call keeps alive: the channel.
  AsyncStream(const internal::Method& method, ClientContext* context, int64_t deadline,
              std::shared_ptr<const void> owner, std::shared_ptr<internal::ClientDriver> driver)
      : AsyncCall(method, context, deadline), owner_(std::move(owner)), driver_(std::move(driver)) {}

  CallOutcome Begin(std::shared_ptr<ClientConnection> connection) override;
  void Fail(CallOutcome outcome) override;
  std::optional<CallOutcome> Drive() override;
  void Done(absl::Status status) override;
  void Wake() override { OnMove(); }

 private:
  std::shared_ptr<const void> owner_;
  const std::shared_ptr<internal::ClientDriver> driver_;
  std::unique_ptr<internal::ClientCall> call_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_ASYNC_CALL_H_
