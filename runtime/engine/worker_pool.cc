#include "runtime/engine/worker_pool.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"

namespace nearcall {

WorkerPool::WorkerPool(Reactor* reactor, int max_handlers) : reactor_(reactor), max_handlers_(max_handlers) {
  reactor_->role()->set_on_vacant([this] { return OnVacant(); });
  reactor_->role()->set_wake_watcher([this] { WakeStandby(); });
}

WorkerPool::~WorkerPool() = default;

absl::Status WorkerPool::Start() {
  absl::MutexLock lock(&mu_);
  return WakeOne() ? absl::OkStatus() : absl::ResourceExhaustedError("no thread can be started to serve with");
}

void WorkerPool::Submit(Runnable* work) {
  absl::MutexLock lock(&mu_);
  work_.push_back(work);
  if (HasWork()) WakeOne();
}

void WorkerPool::SubmitErrand(Runnable* errand) {
  absl::MutexLock lock(&mu_);
  errands_.push_back(errand);
  WakeOne();
}

void WorkerPool::SubmitShort(Runnable* work) {
  absl::MutexLock lock(&mu_);
  short_work_.push_back(work);
  has_short_work_.store(true, std::memory_order_seq_cst);
  if (!HasWork()) return;
  if (short_running_ + short_waking_ < kShortThreads) {
    ++short_waking_;
    WakeOne();
  } else if (standby_ != nullptr) {
    standby_->Unpark();  // it sees to it that this does not wait for ever
  }
}

Runnable* WorkerPool::Take(Kind* kind) {
  absl::MutexLock lock(&mu_);
  if (std::exchange(*kind, Kind::kNone) == Kind::kShort) --short_running_;
  std::deque<Runnable*>* queue = &errands_;
  if (!errands_.empty()) {
    *kind = Kind::kErrand;
  } else if ((work_.empty() && short_work_.empty()) || !Enter()) {
    return nullptr;
  } else {
    *kind = work_.empty() ? Kind::kShort : Kind::kHandler;
    queue = *kind == Kind::kShort ? &short_work_ : &work_;
  }
  Runnable* const work = queue->front();
  queue->pop_front();
  if (*kind == Kind::kShort) {
    ++short_running_;
    ++short_taken_;
    if (short_work_.empty()) has_short_work_.store(false, std::memory_order_seq_cst);
  }
  return work;
}

void WorkerPool::HelpShortWork(uint64_t* seen) {
  if (!has_short_work_.load(std::memory_order_seq_cst)) return;
  absl::MutexLock lock(&mu_);
  if (short_taken_ == *seen && !short_work_.empty() && HasWork()) {
    ++short_waking_;
    WakeOne();
  }
  *seen = short_taken_;
}

void WorkerPool::LeaveLimited() {
  handlers_.fetch_sub(1, std::memory_order_acq_rel);
  absl::MutexLock lock(&mu_);
  if (HasWork()) WakeOne();
}

void WorkerPool::Stop() {
  stopping_.store(true, std::memory_order_seq_cst);
  reactor_->Post([] {});  // the poller looks at stopping_ after each pass
  absl::MutexLock lock(&mu_);
  if (standby_ != nullptr) standby_->Unpark();
  for (Parker* parker : idle_) parker->Unpark();
  while (!running_.empty()) one_finished_.Wait(&mu_);
  JoinFinished();
}

void WorkerPool::JoinFinished() {
  // Each of them has left its last lock: nothing is waited for.
  for (std::thread& thread : finished_) thread.join();
  finished_.clear();
}

bool WorkerPool::WakeOne() {
  if (!idle_.empty()) {
    idle_.back()->Unpark();
    idle_.pop_back();
    return true;
  }
  JoinFinished();
  try {
    running_.emplace_back([this] { Loop(); });
  } catch (const std::system_error&) {
    wants_thread_.store(true, std::memory_order_seq_cst);
    if (standby_ != nullptr) standby_->Unpark();
    return false;
  }
  wants_thread_.store(false, std::memory_order_relaxed);
  return true;
}

void WorkerPool::TryAgainToWakeOne() {
  if (!wants_thread_.load(std::memory_order_seq_cst)) return;
  absl::MutexLock lock(&mu_);
  if (wants_thread_.load(std::memory_order_relaxed) && !stopping()) WakeOne();
}

bool WorkerPool::OnVacant() {
  absl::MutexLock lock(&mu_);
  if (stopping()) return false;
  if (standby_ != nullptr) {
    standby_->Unpark();
    return true;
  }
  return WakeOne();
}

void WorkerPool::WakeStandby() {
  absl::MutexLock lock(&mu_);
  reactor_->role()->set_watcher_dozes(false);
  if (standby_ != nullptr) standby_->Unpark();
}

void WorkerPool::Loop() {
  {
    absl::MutexLock lock(&mu_);
    HasCome();
  }
  Kind kind = Kind::kNone;
  for (;;) {
    if (Runnable* const work = Take(&kind)) {
      work->RunOnWorker();
      if (kind != Kind::kErrand) Leave();
    } else if (stopping()) {
      break;
    } else if (reactor_->TryAcquire()) {
      Poll();
    } else if (!StandBy() && !ParkIdle()) {
      break;
    }
  }
  absl::MutexLock lock(&mu_);
  const auto self = std::find_if(running_.begin(), running_.end(),
                                 [](const std::thread& t) { return t.get_id() == std::this_thread::get_id(); });
  finished_.push_back(std::move(*self));
  running_.erase(self);
  one_finished_.SignalAll();
}

void WorkerPool::Poll() {
  {
    absl::MutexLock lock(&mu_);
    if (standby_ == nullptr && !stopping()) WakeOne();
  }
  const auto done = [this] {
    TryAgainToWakeOne();
    return stopping();
  };
  if (reactor_->PollUntil(done)) reactor_->Release();
}

bool WorkerPool::StandBy() {
  Parker* const parker = Parker::ForThisThread();
  {
    absl::MutexLock lock(&mu_);
    if (standby_ != nullptr) return false;
    standby_ = parker;
  }
  uint64_t seen_ticket = 0;
  uint64_t seen_short = 0;
  int quiet_ticks = 0;
  int64_t tick = kTick;
  bool stolen = false;
  for (;;) {
    if (quiet_ticks < kQuietTicks) {
      const bool woken = parker->Park(MonotonicNanos() + (seen_ticket != 0 ? kTick : tick));
      if (!woken) {
        HelpShortWork(&seen_short);
        TryAgainToWakeOne();
      }
    } else {
      reactor_->role()->set_watcher_dozes(true);
      // From here on a lease shows in lent_ticket, or its lender sees that we doze.
      const int64_t until = MembarrierOfProcess() ? kNever : MonotonicNanos() + kTickWithoutBarrier;
      if (reactor_->role()->lent_ticket() == 0 && !HasUnattendedWork() && !stopping()) {
        parker->Park(until);
      }
      reactor_->role()->set_watcher_dozes(false);
      quiet_ticks = 0;  // whoever woke us may not have got to what we are to see
      tick = kTick;
    }
    if (stopping()) break;
    const uint64_t ticket = reactor_->role()->lent_ticket();
    if (ticket != 0 && ticket == seen_ticket && reactor_->role()->Steal(ticket)) {
      stolen = true;
      break;
    }
    seen_ticket = ticket;
    if (reactor_->TryAcquire()) {
      stolen = true;
      break;
    }
    const bool unattended = HasUnattendedWork();
    tick = unattended ? kTick : std::min(2 * tick, kMaxTick);
    const bool quiet = ticket == 0 && !reactor_->TakeActivity() && !unattended;
    quiet_ticks = quiet ? quiet_ticks + 1 : 0;
  }
  {
    absl::MutexLock lock(&mu_);
    standby_ = nullptr;
  }
  if (stolen) Poll();
  return true;
}

bool WorkerPool::ParkIdle() {
  Parker* const parker = Parker::ForThisThread();
  {
    absl::MutexLock lock(&mu_);
    if (HasWork() || stopping()) return true;
    idle_.push_back(parker);
  }
  const int64_t until = MonotonicNanos() + kIdleNanos;
  bool in_time = true;
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      const auto at = std::find(idle_.begin(), idle_.end(), parker);
      if (at == idle_.end()) {  // somebody woke us
        HasCome();
        return true;
      }
      if (!in_time || stopping()) {
        idle_.erase(at);
        return stopping() || HasWork();
      }
    }
    in_time = parker->Park(until);
  }
}

}  // namespace nearcall
