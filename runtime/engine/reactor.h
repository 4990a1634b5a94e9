#ifndef NEARCALL_RUNTIME_ENGINE_REACTOR_H_
#define NEARCALL_RUNTIME_ENGINE_REACTOR_H_

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "nearcall/internal/mutex.h"
#include "nearcall/spin.h"
#include "runtime/base/fd.h"
#include "runtime/engine/pollable.h"
#include "runtime/engine/poller_role.h"
#include "runtime/engine/spinner.h"
#include "runtime/engine/wait_spot.h"

namespace nearcall {

// Looks after connections: a set of Pollables, which the thread that holds the role of poller (PollerRole) looks at.
//
// The poller looks at its active Pollables again and again for as long as the Spinner lets it, then sleeps in epoll. A
// Pollable that has been quiet for long is put to sleep by itself, so that a pass costs what is busy, not what is open.
//
// Threads: thread-safe unless a function says "poller only".
class Reactor {
 public:
  explicit Reactor(Spin spin);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // What it needs of the kernel it asks for when it is made, and if that failed, here again. RESOURCE_EXHAUSTED: it
  // must not be given any Pollables.
  absl::Status Open();

  // Hands a Pollable over; shares its ownership until it is finished, or removed, or the reactor is gone.
  void Add(std::shared_ptr<Pollable> pollable);
  // Has the poller call `task` soon. Wakes it.
  void Post(std::function<void()> task);
  // Wakes the poller if it sleeps.
  void Wake();
  // Wakes the thread that sleeps as the poller, even if another one polls meanwhile.
  void WakeSleeper();
  // Has the poller look at one Pollable soon, even if its descriptors say nothing. Wakes it.
  void Nudge(const Pollable* pollable);

  // Blocks the calling thread until `done()` says true, or `deadline` passes; polls meanwhile if nobody else does.
  // `done` is called by this thread only, often: it must be cheap, and true for good once true. Whoever makes it true
  // notifies `spot`. In a handler: polls on with the lent role, but new calls go to other threads.
  template <class Done>
  bool Wait(const Done& done, WaitSpot* spot, int64_t deadline);

  // Looks once at everything, if nobody polls and the last call of this function was a millisecond or so ago. Never
  // blocks.
  void PeekIfQuiet() {
    const uint64_t now = CycleCount();
    if (now - last_use_.load(std::memory_order_relaxed) > CyclesIn(kQuietNanos)) Peek();
    last_use_.store(now, std::memory_order_relaxed);
  }

  PollerRole* role() { return &role_; }
  bool TryAcquire() { return role_.TryAcquire(); }
  // Poller only. Gives the role up; wakes one thread that waits for it.
  void Release() {
    if (!finished_.empty()) finished_.clear();
    role_.Release();
  }

  // A connection has something to send that finds no room now and that no thread waits for (1), or has none any more
  // (-1).
  void CountUnsent(int change) { unsent_.fetch_add(change, std::memory_order_relaxed); }
  bool has_unsent() const { return unsent_.load(std::memory_order_relaxed) > 0; }
  // The calling thread leaves behind something to send that goes out only if somebody polls.
  void LookAfterUnsent() {
    if (has_unsent() && on_unsent_) on_unsent_();
  }
  // Has somebody poll for as long as has_unsent(). Set before first use.
  void set_on_unsent(std::function<void()> on_unsent) { on_unsent_ = std::move(on_unsent); }

  // Poller only. Polls until `done()`, or until the role is lost (false). Handlers may run inside.
  template <class Done>
  bool PollUntil(const Done& done);

  // Poller only. Whether a handler may run right here: not inside another handler's Wait.
  bool may_run_handlers() const { return may_run_handlers_; }

  // Whether the poller has been busy since the last call: what a standby thread goes by. Any one thread.
  bool TakeActivity() { return activity_.exchange(false, std::memory_order_relaxed); }
  // Poller only: how many Pollables there are.
  size_t size() const { return pollables_.size(); }
  // Poller only, or when no thread uses the reactor any more: drops all Pollables.
  void Clear();

 private:
  enum class Pass { kIdle, kProgress, kRoleLost };
  enum class Waited { kDone, kTooLong, kNothingComes, kComesForOthers, kRoleLost };
  // What becomes of the role while its holder sleeps.
  enum class WhileAsleep : uint8_t { kKeepRole, kLeaveRole, kOfferRole };
  // Whether a thread sleeps in epoll, and if so, whether another one polls meanwhile.
  enum class Sleeper : uint8_t { kNone, kAlone, kRelieved };

  static constexpr uint64_t kQuietNanos = 1'000'000;
  static constexpr int64_t kUnwatchedNanos = 10'000'000;
  // With so few Pollables all of them are looked at while the poller is awake: a reply then never waits for a glance.
  static constexpr size_t kFewPollables = 4;
  // A poller that has got on so many times with what others wait for, and not with what it waits for itself, goes to
  // sleep and leaves the role to them: each of their waits ended with a wake-up.
  static constexpr int kMaxForOthers = 64;

  void Peek();
  // Looks at the active Pollables, beginning where the last pass was left. kIdle: at every one of them, in vain.
  Pass PollOnce();
  // At those from next_ to the last.
  Pass PollRest();
  // Watches the sleeping Pollables' descriptors without blocking: now and then.
  void Glance();
  size_t LooksPerGlance() const;
  // Waits for a descriptor, a wake-up or the deadline, unless `done()`. False if the role, that was left meanwhile, is
  // lost.
  bool Sleep(int64_t deadline, absl::FunctionRef<bool()> done, WhileAsleep role);
  bool WaitForEvents(int64_t deadline, WhileAsleep role);
  void Deliver(absl::Span<const epoll_event> events, bool may_be_gone);
  // Takes a role that was left, and looks after everything with it until GiveBack. `offer`: to those who wait for other
  // things.
  bool TryBorrow();
  void GiveBack(bool offer);
  bool can_leave_role() const { return spinner_.may_spin() && has_few() && !some_unwatched_; }
  // Whether threads wait for what this one polls for them, and each look is a system call.
  bool IsCrowded() const { return role_.has_followers() && PollsSockets(); }
  bool PollsSockets() const;
  bool has_few() const { return pollables_.size() <= kFewPollables + 1; }
  bool Has(const Pollable* pollable) const;
  void ActivateSpinning();
  // Has epoll tell nothing, or everything again, of what is polled anyway.
  void MuteSockets(bool muted);
  // Takes a busy socket out of the epoll set, until it is put to sleep.
  void LeaveOut(Pollable* pollable);
  // False if something is to be done first.
  bool PutAllToSleep(absl::FunctionRef<bool()> unless);
  bool PrepareSleep(Pollable* pollable);
  // `ready`: a bit for each watched descriptor that is.
  void Activate(Pollable* pollable, uint32_t ready);
  // False: the kernel has no memory for it.
  bool Watch(Pollable* pollable, int operation);
  // The same; what fails is tried again by WatchUnwatched.
  void WatchOrLater(Pollable* pollable, int operation);
  // Watches what could not be watched before. While that fails, the poller sleeps for kUnwatchedNanos at most.
  void WatchUnwatched();
  void RetireQuiet(Pollable* pollable);
  void RunTasks();
  void Register(std::shared_ptr<Pollable> pollable);
  void Unwatch(Pollable* pollable);
  void Remove(size_t active_index);
  // Polls for as long as that pays.
  template <class Done>
  Waited PollAwake(const Done& done, int64_t deadline);
  // Polls, and sleeps as the poller in between, until kDone, kTooLong or kRoleLost.
  template <class Done>
  Waited PollForSelf(const Done& done, WaitSpot* spot, int64_t deadline);

  PollerRole role_;

  // Poller only, from here ...
  alignas(kCacheLine) Spinner spinner_;
  std::vector<Pollable*> active_;
  std::vector<std::shared_ptr<Pollable>> pollables_;
  std::vector<std::shared_ptr<Pollable>> finished_;  // kept until no event of this batch can name them
  size_t next_ = 0;                                  // where the pass over active_ stands
  size_t looks_since_glance_ = 0;
  uint32_t idle_passes_ = 0;  // since the last one that found something
  int64_t next_timer_ = kNever;
  bool may_run_handlers_ = true;
  bool some_unwatched_ = false;
  int64_t sleeps_until_ = kNever;  // the thread that has left the role
  // ... to here.

  // Set before the poller sleeps, with has_tasks_ and its own condition looked at after; Post sets has_tasks_, and who
  // makes the condition true does so, then each looks here (Wake, WakeSleeper).
  std::atomic<Sleeper> sleeper_{Sleeper::kNone};
  std::atomic<bool> has_tasks_{false};
  std::atomic<bool> activity_{false};
  // Relaxed: whoever acts on it made the change itself, or polls, and so sees the change when it comes about.
  std::atomic<int> unsent_{0};
  std::atomic<uint64_t> last_use_{0};  // CycleCount of the last PeekIfQuiet; a hint

  internal::Mutex mu_;
  std::vector<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);

  // epoll_ and wake_ are there. Set once, under mu_; pairs with the loads of whoever uses them.
  std::atomic<bool> open_{false};
  std::function<void()> on_unsent_;
  Fd epoll_;
  Fd wake_;
};

// --- Implementation of what every call goes through ---

template <class Done>
bool Reactor::Wait(const Done& done, WaitSpot* spot, int64_t deadline) {
  bool may_borrow = spinner_.may_spin();  // otherwise there is nothing to gain
  bool followed = false;
  bool in_time = true;
  while (in_time && !done()) {
    if (PollerRole::Lease* const lease = role_.OwnLease()) {
      if (!role_.Reclaim(lease)) continue;
      const Waited waited = PollForSelf(done, spot, deadline);
      role_.LendAgain(lease, /*held=*/waited != Waited::kRoleLost);
      in_time = waited != Waited::kTooLong;
    } else if (TryAcquire()) {
      const Waited waited = PollForSelf(done, spot, deadline);
      if (waited != Waited::kRoleLost) Release();
      in_time = waited != Waited::kTooLong;
    } else if (may_borrow && TryBorrow()) {
      const Waited waited = PollAwake(done, deadline);
      GiveBack(/*offer=*/waited != Waited::kNothingComes);  // what did not come to this one will not come to another
      may_borrow = false;                                   // what takes that long is waited for asleep
      in_time = waited != Waited::kTooLong;
    } else {
      in_time = role_.Follow(spot, done, deadline, may_borrow);
      followed = true;
    }
  }
  if (followed) role_.PassOnChance();
  return done();
}

template <class Done>
Reactor::Waited Reactor::PollAwake(const Done& done, int64_t deadline) {
  int for_others = 0;
  spinner_.Begin(IsCrowded());
  for (;;) {
    const Pass pass = PollOnce();
    if (done()) {
      spinner_.Hit();
      return Waited::kDone;
    }
    if (pass == Pass::kIdle) {
      if (!spinner_.KeepSpinning()) {
        spinner_.Miss();
        return Waited::kNothingComes;
      }
      CpuRelax();
      continue;
    }
    spinner_.Hit();
    if (++for_others >= kMaxForOthers) return Waited::kComesForOthers;
    if (deadline != kNever && MonotonicNanos() >= deadline) return Waited::kTooLong;
    spinner_.Begin(IsCrowded());
  }
}

template <class Done>
Reactor::Waited Reactor::PollForSelf(const Done& done, WaitSpot* spot, int64_t deadline) {
  may_run_handlers_ = false;
  Waited waited = PollAwake(done, deadline);
  while (waited == Waited::kNothingComes || waited == Waited::kComesForOthers) {
    const bool offer = waited == Waited::kComesForOthers;
    if (!offer || (spinner_.adapts() && can_leave_role())) {
      PollerRole::HandOffLease();
      spot->EnterSleep(nullptr, this);
      const bool has_role = Sleep(deadline, done, offer ? WhileAsleep::kOfferRole : WhileAsleep::kLeaveRole);
      spot->LeaveSleep();
      if (!has_role) return Waited::kRoleLost;
    }
    const bool too_late = deadline != kNever && MonotonicNanos() >= deadline;
    waited = too_late ? Waited::kTooLong : PollAwake(done, deadline);
  }
  may_run_handlers_ = true;
  return waited;
}

template <class Done>
bool Reactor::PollUntil(const Done& done) {
  spinner_.Begin();
  uint32_t woken = Parker::WokenByThisThread();
  while (!done()) {
    const Pass pass = PollOnce();
    if (pass == Pass::kRoleLost) return false;
    if (pass == Pass::kProgress) {
      spinner_.Hit();
      spinner_.Begin();
      continue;
    }
    // Whom it has woken, to run a handler or to go on with one, may need this very CPU.
    const uint32_t woken_before = std::exchange(woken, Parker::WokenByThisThread());
    if (woken != woken_before) {
      spinner_.GiveWay();
      continue;
    }
    if (spinner_.KeepSpinning()) {
      CpuRelax();
      continue;
    }
    spinner_.Miss();
    Sleep(kNever, done, WhileAsleep::kKeepRole);
    spinner_.Begin();
  }
  return true;
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_REACTOR_H_
