#include "runtime/engine/async_call.h"

#include "nearcall/internal/context_access.h"
#include "runtime/base/clock.h"
#include "runtime/engine/async_caller.h"
#include "runtime/engine/failed_call.h"

namespace nearcall {

bool AsyncCall::cancelled() const { return internal::ClientContextAccess::cancelled(*context_); }

bool AsyncCall::GivenUp() const { return cancelled() || (deadline_ != kNever && MonotonicNanos() >= deadline_); }

void AsyncCall::OnMove() { caller_->Enqueue(this); }

void AsyncCall::OnCancel() { caller_->OnCancelled(); }

// --- Unary ---

CallOutcome AsyncUnary::Begin(std::shared_ptr<ClientConnection> connection) {
  call_.Reset();
  CallOutcome outcome = connection->StartUnary(method(), &call_, request_, deadline());
  if (outcome.status.ok()) connection_ = std::move(connection);
  return outcome;
}

void AsyncUnary::Fail(CallOutcome outcome) { failure_ = std::move(outcome); }

std::optional<CallOutcome> AsyncUnary::Drive() {
  if (!failure_.status.ok()) return std::exchange(failure_, {});
  if (connection_ == nullptr) return std::nullopt;  // it is still to begin
  if (!CallTable<PendingCall>::IsDone(call_.ticket) && !GivenUp()) return std::nullopt;
  return std::exchange(connection_, nullptr)->EndUnary(&call_);
}

// --- Streams ---

CallOutcome AsyncStream::Begin(std::shared_ptr<ClientConnection> connection) {
  CallOutcome outcome;
  call_ = connection->StartStream(method(), context(), deadline(), owner_, this, &outcome);
  if (call_ != nullptr) OnMove();  // its driver may have something for it already
  return outcome;
}

void AsyncStream::Fail(CallOutcome outcome) { call_ = std::make_unique<FailedCall>(std::move(outcome.status)); }

std::optional<CallOutcome> AsyncStream::Drive() {
  absl::Status status;
  if (call_ == nullptr || !driver_->Drive(call_.get(), &status)) return std::nullopt;
  return CallOutcome{std::move(status), false};
}

void AsyncStream::Done(absl::Status status) {
  call_.reset();
  driver_->OnDone(status);
}

}  // namespace nearcall
