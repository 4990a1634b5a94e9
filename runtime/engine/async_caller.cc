#include "runtime/engine/async_caller.h"

#include <algorithm>
#include <utility>

#include "nearcall/internal/context_access.h"
#include "runtime/base/clock.h"

namespace nearcall {
namespace {

AsyncCaller*& CallerOnThisThread() {
  static thread_local AsyncCaller* caller = nullptr;
  return caller;
}

}  // namespace

bool AsyncCaller::OnItsThread() const { return CallerOnThisThread() == this; }

void AsyncCaller::Stop() {
  std::thread thread;
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    work_.Signal();
    thread.swap(thread_);
  }
  Wake();
  if (thread.joinable()) thread.join();
}

void AsyncCaller::Start(std::unique_ptr<AsyncCall> call, absl::Status refused) {
  call->caller_ = this;
  ToStart start{std::move(call), std::move(refused)};
  if (OnItsThread() && !ending_) return Adopt(std::move(start));
  // All of it under the lock: the call may be over right after it, and its callback may drop the channel.
  absl::MutexLock lock(&mu_);
  to_start_.push_back(std::move(start));
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  work_.Signal();
  Wake();
}

void AsyncCaller::KeepPolling() {
  absl::MutexLock lock(&mu_);
  if (stopping_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
  work_.Signal();
}

void AsyncCaller::Wake() {
  has_events_.exchange(true, std::memory_order_seq_cst);
  spot_.Notify();
}

void AsyncCaller::Enqueue(AsyncCall* call) {
  if (call->queued_.exchange(true, std::memory_order_acq_rel)) return;
  {
    absl::MutexLock lock(&mu_);
    moved_.push_back(call);
  }
  Wake();
}

void AsyncCaller::OnCancelled() {
  has_cancelled_.store(true, std::memory_order_seq_cst);
  Wake();
}

void AsyncCaller::Loop() {
  CallerOnThisThread() = this;
  for (;;) {
    std::vector<ToStart> to_start;
    std::vector<AsyncCall*> moved;
    bool waited;
    {
      absl::MutexLock lock(&mu_);
      while (open_.empty() && to_start_.empty() && moved_.empty() && !stopping_ && !reactor_->has_unsent()) {
        work_.Wait(&mu_);
      }
      has_events_.exchange(false, std::memory_order_seq_cst);
      to_start.swap(to_start_);
      moved.swap(moved_);
      waited = std::exchange(waited_, false);
      ending_ = stopping_;
    }
    if (waited) OnWaited();
    for (AsyncCall* call : moved) {
      call->queued_.exchange(false, std::memory_order_acq_rel);  // what moves from here on is looked at again
      Look(call);
    }
    for (ToStart& start : to_start) Adopt(std::move(start));
    EndDue();
    if (open_.empty()) {
      absl::MutexLock lock(&mu_);
      if (stopping_ && to_start_.empty() && moved_.empty()) return;
      if (stopping_ || !reactor_->has_unsent()) continue;
    }
    const int64_t deadline = deadlines_.empty() ? kNever : deadlines_.begin()->first;
    const auto done = [this] {
      return has_events_.load(std::memory_order_seq_cst) || (open_.empty() && !reactor_->has_unsent());
    };
    reactor_->Wait(done, &spot_, deadline);
  }
}

void AsyncCaller::Adopt(ToStart start) {
  AsyncCall* const call = start.call.release();
  open_.insert(call);
  if (call->deadline_ != kNever) deadlines_.emplace(call->deadline_, call);
  internal::ClientContextAccess::AddSleeper(call->context_, call);
  if (start.refused.ok()) return Send(call);
  call->Fail({std::move(start.refused), false});
  Enqueue(call);
}

void AsyncCaller::Send(AsyncCall* call) {
  CallOutcome outcome;
  if (call->cancelled() || ending_) {
    outcome.status = absl::CancelledError("the caller cancelled the call");
  } else if (call->context_->wait_for_ready() && !connected_()) {
    waiting_.push_back(call);
    return WaitForServer();
  } else if (absl::StatusOr<std::shared_ptr<ClientConnection>> connection = connect_(call); !connection.ok()) {
    outcome.status = connection.status();
  } else {
    outcome = call->Begin(*std::move(connection));
    if (outcome.status.ok()) return;
    if (may_retry_(call->method_, outcome, call->attempts_++)) return Send(call);
  }
  // Over before it began. The callback must not run inside the caller's Start: it waits for the loop.
  call->Fail(std::move(outcome));
  Enqueue(call);
}

void AsyncCaller::Look(AsyncCall* call) {
  std::optional<CallOutcome> outcome = call->Drive();
  if (!outcome.has_value()) return;
  if (may_retry_(call->method_, *outcome, call->attempts_++)) return Send(call);
  Complete(call, std::move(outcome->status));
}

void AsyncCaller::Complete(AsyncCall* call, absl::Status status) {
  internal::ClientContextAccess::RemoveSleeper(call->context_, call);
  open_.erase(call);
  for (auto [at, end] = deadlines_.equal_range(call->deadline_); at != end; ++at) {
    if (at->second != call) continue;
    deadlines_.erase(at);
    break;
  }
  if (call->queued_.load(std::memory_order_acquire)) {  // it is over for another reason than that it has moved
    absl::MutexLock lock(&mu_);
    moved_.erase(std::remove(moved_.begin(), moved_.end(), call), moved_.end());
  }
  const std::unique_ptr<AsyncCall> owned(call);
  owned->Done(std::move(status));
}

void AsyncCaller::EndDue() {
  std::vector<AsyncCall*> due;
  if (has_cancelled_.exchange(false, std::memory_order_seq_cst) || ending_) {
    for (AsyncCall* call : open_) {
      if (ending_ && !call->cancelled()) call->context_->TryCancel();
      if (call->cancelled()) due.push_back(call);
    }
  }
  if (!deadlines_.empty()) {
    const int64_t now = MonotonicNanos();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      due.push_back(deadlines_.begin()->second);
      deadlines_.erase(deadlines_.begin());
    }
  }
  for (AsyncCall* call : due) {
    if (!open_.contains(call) || call == waiting_first_) continue;
    if (const auto at = std::find(waiting_.begin(), waiting_.end(), call); at != waiting_.end()) {
      waiting_.erase(at);
      call->Fail({call->cancelled() ? absl::CancelledError("the caller cancelled the call")
                                    : absl::DeadlineExceededError("no connection to the server before the deadline"),
                  false});
    }
    Look(call);
  }
}

void AsyncCaller::WaitForServer() {
  if (waiting_first_ != nullptr || waiting_.empty()) return;
  waiting_first_ = waiting_.front();
  waiting_.erase(waiting_.begin());
  waiter_ = std::thread([this, call = waiting_first_] {
    absl::Status status = connect_(call).status();
    absl::MutexLock lock(&mu_);
    wait_status_ = std::move(status);
    waited_ = true;
    Wake();
  });
}

void AsyncCaller::OnWaited() {
  waiter_.join();
  AsyncCall* const first = std::exchange(waiting_first_, nullptr);
  const std::vector<AsyncCall*> others = std::exchange(waiting_, {});
  if (wait_status_.ok()) {
    Send(first);
  } else {
    first->Fail({std::exchange(wait_status_, absl::OkStatus()), false});
    Enqueue(first);
  }
  for (AsyncCall* call : others) Send(call);
}

}  // namespace nearcall
