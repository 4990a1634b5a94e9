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

void AsyncUnary::OnCancel() {
  caller->has_cancelled_.store(true, std::memory_order_seq_cst);
  caller->Wake();
}

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

void AsyncCaller::Start(std::unique_ptr<AsyncUnary> call) {
  call->caller = this;
  call->on_done = &AsyncCaller::OnDone;
  if (OnItsThread() && !ending_) return Send(call.release());
  {
    absl::MutexLock lock(&mu_);
    to_start_.push_back(std::move(call));
    if (!thread_.joinable()) thread_ = std::thread([this] { Loop(); });
    work_.Signal();
  }
  Wake();
}

void AsyncCaller::Wake() {
  has_events_.exchange(true, std::memory_order_seq_cst);
  spot_.Notify();
}

// The poller has the call's answer; it runs under the delivery, so the call cannot end before this returns.
void AsyncCaller::OnDone(PendingCall* pending) {
  auto* const call = static_cast<AsyncUnary*>(pending);
  AsyncCaller* const caller = call->caller;
  {
    absl::MutexLock lock(&caller->mu_);
    caller->over_.push_back(call);
  }
  caller->Wake();
}

void AsyncCaller::Loop() {
  CallerOnThisThread() = this;
  for (;;) {
    std::vector<std::unique_ptr<AsyncUnary>> to_start;
    std::vector<AsyncUnary*> over;
    bool waited;
    {
      absl::MutexLock lock(&mu_);
      while (open_.empty() && to_start_.empty() && over_.empty() && !stopping_) work_.Wait(&mu_);
      has_events_.exchange(false, std::memory_order_seq_cst);
      to_start.swap(to_start_);
      over.swap(over_);
      waited = std::exchange(waited_, false);
      ending_ = stopping_;
    }
    if (waited) OnWaited();
    for (AsyncUnary* call : over) Finish(call);
    for (std::unique_ptr<AsyncUnary>& call : to_start) Send(call.release());
    EndDue();
    if (open_.empty()) {
      absl::MutexLock lock(&mu_);
      if (stopping_ && to_start_.empty() && over_.empty()) return;
      continue;
    }
    const int64_t deadline = deadlines_.empty() ? kNever : deadlines_.begin()->first;
    reactor_->Wait([this] { return has_events_.load(std::memory_order_seq_cst); }, &spot_, deadline);
  }
}

void AsyncCaller::Send(AsyncUnary* call) {
  if (open_.insert(call).second) {
    if (call->deadline != kNever) deadlines_.emplace(call->deadline, call);
    internal::ClientContextAccess::AddSleeper(call->context, call);
  }
  call->connection = nullptr;
  CallOutcome outcome;
  if (!call->refused.ok()) {
    outcome.status = call->refused;
  } else if (internal::ClientContextAccess::cancelled(*call->context) || ending_) {
    outcome.status = absl::CancelledError("the caller cancelled the call");
  } else if (call->context->wait_for_ready() && !connected_()) {
    waiting_.push_back(call);
    return WaitForServer();
  } else if (absl::StatusOr<std::shared_ptr<ClientConnection>> connection = connect_(call); !connection.ok()) {
    outcome.status = connection.status();
  } else {
    call->connection = *std::move(connection);
    outcome = call->connection->StartUnary(*call->method, call, call->request, call->deadline);
    if (outcome.status.ok()) return;
    call->connection = nullptr;
  }
  // Over before it began. The callback must not run inside the caller's Start: it waits for the loop.
  call->status = std::move(outcome.status);
  call->may_retry = outcome.may_retry;
  {
    absl::MutexLock lock(&mu_);
    over_.push_back(call);
  }
  Wake();
}

void AsyncCaller::Finish(AsyncUnary* call) {
  if (!open_.contains(call)) return;  // its deadline came first
  CallOutcome outcome{call->status, call->may_retry};
  if (call->connection != nullptr) outcome = call->connection->EndUnary(call);
  if (may_retry_(*call, outcome)) return Send(call);
  Complete(call, std::move(outcome.status));
}

void AsyncCaller::Complete(AsyncUnary* call, absl::Status status) {
  internal::ClientContextAccess::RemoveSleeper(call->context, call);
  open_.erase(call);
  for (auto [at, end] = deadlines_.equal_range(call->deadline); at != end; ++at) {
    if (at->second != call) continue;
    deadlines_.erase(at);
    break;
  }
  {
    // The answer may have come while the call was being ended for another reason.
    absl::MutexLock lock(&mu_);
    over_.erase(std::remove(over_.begin(), over_.end(), call), over_.end());
  }
  const std::unique_ptr<AsyncUnary> owned(call);
  owned->done(std::move(status));
}

void AsyncCaller::EndDue() {
  std::vector<AsyncUnary*> due;
  if (has_cancelled_.exchange(false, std::memory_order_seq_cst) || ending_) {
    for (AsyncUnary* call : open_) {
      if (ending_) call->context->TryCancel();
      if (internal::ClientContextAccess::cancelled(*call->context)) due.push_back(call);
    }
  }
  if (!deadlines_.empty()) {
    const int64_t now = MonotonicNanos();
    for (const auto& [deadline, call] : deadlines_) {
      if (deadline > now) break;
      if (std::find(due.begin(), due.end(), call) == due.end()) due.push_back(call);
    }
  }
  for (AsyncUnary* call : due) {
    if (!open_.contains(call)) continue;
    if (call->connection != nullptr) {
      Complete(call, call->connection->EndUnary(call).status);
    } else if (const auto at = std::find(waiting_.begin(), waiting_.end(), call); at != waiting_.end()) {
      waiting_.erase(at);
      Complete(call, internal::ClientContextAccess::cancelled(*call->context)
                         ? absl::CancelledError("the caller cancelled the call")
                         : absl::DeadlineExceededError("no connection to the server before the deadline"));
    }
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
  AsyncUnary* const first = std::exchange(waiting_first_, nullptr);
  const std::vector<AsyncUnary*> others = std::exchange(waiting_, {});
  if (wait_status_.ok()) {
    Send(first);
  } else {
    Complete(first, std::exchange(wait_status_, absl::OkStatus()));
  }
  for (AsyncUnary* call : others) Send(call);
}

}  // namespace nearcall
