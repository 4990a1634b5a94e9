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
#include "runtime/base/parker.h"
#include "runtime/engine/pollable.h"
#include "runtime/engine/spinner.h"
#include "runtime/engine/wait_spot.h"

namespace nearcall {

// Looks after connections: a set of Pollables, and the role of poller, which one thread holds at a time.
//
// No thread belongs to the reactor. On a channel the threads that wait for replies take the role in turn: one polls for
// all, the others sleep, and the role passes on when the poller has what it came for. On a server worker threads hold
// it (WorkerPool); while the poller runs a handler it *lends* the role: it takes it back afterwards at the price of one
// compare-and-swap, unless the handler took so long that a standby thread has taken the role meanwhile.
//
//             Acquire                Lend
//     free ------------> held <---------------> lent
//       ^  <------------  |  ^     Reclaim       |
//       |     Release     |  +-------------------+ Steal (by another thread)
//       +----------------------------------------+ HandOff (by the lender, before it blocks)
//
// The poller looks at its active Pollables again and again for as long as the Spinner lets it, then sleeps in epoll. A
// Pollable that has been quiet for long is put to sleep by itself, so that a pass costs what is busy, not what is open.
//
// A poller that sleeps while it waits for something of its own leaves the role to whoever wants it meanwhile:
//
//             leave to sleep               Borrow
//     held <----------------> left <-----------------> borrowed
//       ^       woken              GiveBack                |
//       +--------------------------------------------------+ the sleeper was woken, and leaves the role for good
//
// So one thread's long wait costs the short waits of others nothing: neither has to wake the other.
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

  // --- The role of poller ---

  // A server thread's hold on the role while its handler runs.
  class Lease {
   public:
    // Whether the calling thread serves `reactor` in a handler: then its lease, else nullptr.
    static Lease* Current();
    bool lost() const { return lost_; }

   private:
    friend class Reactor;
    Reactor* reactor_ = nullptr;
    uint64_t ticket_ = 0;  // 0 while the role is taken back to poll from inside the handler
    bool lost_ = false;
  };

  bool TryAcquire();
  // Poller only. Gives the role up; wakes one thread that waits for it.
  void Release();
  // Poller only. Lends the role for the time of a handler that may block, on the calling thread.
  void BeginLease(Lease* lease);
  // Takes it back. False if the role is lost: somebody else polls now.
  bool EndLease(Lease* lease);
  // Takes over the role if it was lent with `ticket` and still is. For standby threads.
  bool Steal(uint64_t ticket);
  // The ticket under which the role is lent now; 0 if it is not.
  uint64_t lent_ticket() const;
  // To be called before the calling thread blocks elsewhere: gives a lent role to others.
  static void HandOffLease();
  // Told when the role has no owner and somebody should take it; says whether it found a thread to. Set before first
  // use.
  void set_on_vacant(std::function<bool()> on_vacant) { on_vacant_ = std::move(on_vacant); }
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
  // Whoever watches for leases that last too long may doze while nothing is lent; `wake` is called when something is.
  // Set before first use.
  void set_wake_watcher(std::function<void()> wake) { wake_watcher_ = std::move(wake); }
  // After set_watcher_dozes(true) and a MembarrierOfProcess, either lent_ticket() shows a lease, or its lender sees the
  // flag and wakes the watcher.
  void set_watcher_dozes(bool dozes) { watcher_dozes_.store(dozes, std::memory_order_seq_cst); }

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
  enum RoleState : uint64_t { kFree = 0, kHeld = 1, kLent = 2, kLeft = 3, kBorrowed = 4, kStateMask = 7 };
  static constexpr int kTicketShift = 3;
  enum class Pass { kIdle, kProgress, kRoleLost };
  enum class Waited { kDone, kTooLong, kRoleLost };
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
  // Looks once at every active Pollable.
  Pass PollOnce();
  // After fruitless passes: watches the sleeping Pollables' descriptors without blocking, now and then.
  void Glance();
  // Waits for a descriptor, a wake-up or the deadline, unless `done()`. False if the role, that was left meanwhile, is
  // lost.
  bool Sleep(int64_t deadline, absl::FunctionRef<bool()> done, WhileAsleep role);
  bool WaitForEvents(int64_t deadline, WhileAsleep role);
  // By the thread that left the role to sleep: takes it back. False: it is borrowed, and now the borrower's own, who
  // learns what this thread was woken for.
  bool ReturnFromSleep(absl::Span<const epoll_event> events);
  void Deliver(absl::Span<const epoll_event> events, bool may_be_gone);
  // Takes a role that was left; until GiveBack.
  bool TryBorrow();
  // `offer`: to those who wait for other things.
  void GiveBack(bool offer);
  bool can_leave_role() const { return spinner_.may_spin() && has_few() && !some_unwatched_; }
  bool has_few() const { return pollables_.size() <= kFewPollables + 1; }
  bool Has(const Pollable* pollable) const;
  void ActivateSpinning();
  // Has epoll tell nothing, or everything again, of what is polled anyway.
  void MuteSockets(bool muted);
  // False if something is to be done first.
  bool PutAllToSleep(absl::FunctionRef<bool()> unless);
  bool PrepareSleep(Pollable* pollable);
  // `ready`: a bit for each watched descriptor that is.
  void Activate(Pollable* pollable, uint32_t ready);
  // False: the kernel has no memory for it.
  bool Watch(Pollable* pollable, int operation);
  // Watches what could not be watched before. While that fails, the poller sleeps for kUnwatchedNanos at most.
  void WatchUnwatched();
  void RetireQuiet(Pollable* pollable);
  void RunTasks();
  void Register(std::shared_ptr<Pollable> pollable);
  void Unwatch(Pollable* pollable);
  void Remove(size_t active_index);
  // Sleeps as a follower until `done()`, the deadline (then false), or a chance to take the role; `may_borrow`: or to
  // borrow it.
  bool Follow(WaitSpot* spot, absl::FunctionRef<bool()> done, int64_t deadline, bool may_borrow);
  // The role was left without an owner: finds one.
  void FindOwner();
  // Wakes a follower to take the role,
  void PromoteFollower();
  // or one that would borrow it, if there is one.
  void OfferToFollower();
  template <class Done>
  Waited PollForSelf(const Done& done, WaitSpot* spot, int64_t deadline);
  // The same with a borrowed role: never sleeps, and gives the role back.
  template <class Done>
  Waited PollBorrowed(const Done& done, int64_t deadline);
  uint64_t Lend();
  bool Reclaim(uint64_t ticket);
  static Lease*& CurrentLease() { return current_lease_; }

  static thread_local constinit Lease* current_lease_;

  // Role. Release's exchange to kFree pairs with a follower's TryAcquire after it has counted itself in followers_: one
  // of the two sees the other; likewise GiveBack's to kLeft. Reclaim, Steal and HandOff compete for one ticket by
  // compare-and-swap, and so do the sleeper, who wants a role that was left back, and whoever borrows it.
  alignas(kCacheLine) std::atomic<uint64_t> role_{kFree};
  // Set while the watcher of long leases dozes. Pairs with Lend, which looks here once it has changed role_.
  std::atomic<bool> watcher_dozes_{false};
  std::atomic<int> followers_{0};
  std::atomic<int> borrowers_{0};  // those of them who would borrow the role
  // Whether a follower was woken to take the role and has not tried yet: one at a time is enough.
  std::atomic<bool> promoting_{false};

  // Poller only, from here ...
  alignas(kCacheLine) Spinner spinner_;
  std::vector<Pollable*> active_;
  std::vector<std::shared_ptr<Pollable>> pollables_;
  std::vector<std::shared_ptr<Pollable>> finished_;  // kept until no event of this batch can name them
  size_t next_ = 0;                                  // where the pass over active_ stands
  uint64_t tickets_ = 0;
  size_t looks_since_glance_ = 0;
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
  struct Follower {
    Parker* parker;
    bool may_borrow;
  };
  std::vector<Follower> follower_list_ ABSL_GUARDED_BY(mu_);

  // epoll_ and wake_ are there. Set once, under mu_; pairs with the loads of whoever uses them.
  std::atomic<bool> open_{false};
  std::function<bool()> on_vacant_;
  std::function<void()> on_unsent_;
  std::function<void()> wake_watcher_;
  Fd epoll_;
  Fd wake_;
};

// --- Implementation of what every call goes through ---

inline bool Reactor::TryAcquire() {
  uint64_t expected = kFree;
  return role_.compare_exchange_strong(expected, kHeld, std::memory_order_seq_cst);
}

inline void Reactor::Release() {
  if (!finished_.empty()) finished_.clear();
  role_.exchange(kFree, std::memory_order_seq_cst);
  if (on_vacant_ || followers_.load(std::memory_order_seq_cst) > 0) FindOwner();
}

inline uint64_t Reactor::Lend() {
  const uint64_t ticket = (++tickets_ << kTicketShift) | kLent;
  role_.store(ticket, std::memory_order_release);  // pairs with the acquire in Reclaim and Steal
  // The watcher's MembarrierOfProcess puts the store above before this load, so that nobody pays for a barrier here.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (watcher_dozes_.load(std::memory_order_relaxed)) wake_watcher_();
  return ticket;
}

inline bool Reactor::Reclaim(uint64_t ticket) {
  return role_.compare_exchange_strong(ticket, kHeld, std::memory_order_acq_rel);
}

inline void Reactor::BeginLease(Lease* lease) {
  lease->reactor_ = this;
  lease->lost_ = false;
  lease->ticket_ = Lend();
  CurrentLease() = lease;
}

inline bool Reactor::EndLease(Lease* lease) {
  CurrentLease() = nullptr;
  return !lease->lost_ && Reclaim(lease->ticket_);
}

template <class Done>
bool Reactor::Wait(const Done& done, WaitSpot* spot, int64_t deadline) {
  bool may_borrow = spinner_.may_spin();  // otherwise there is nothing to gain
  bool followed = false;
  while (!done()) {
    Waited waited;
    Lease* lease = CurrentLease();
    const bool ours = lease != nullptr && lease->reactor_ == this && !lease->lost_;
    if (ours) {
      lease->lost_ = !Reclaim(std::exchange(lease->ticket_, 0));
      if (lease->lost_) continue;
      waited = PollForSelf(done, spot, deadline);
      lease->lost_ = waited == Waited::kRoleLost;
      if (!lease->lost_) lease->ticket_ = Lend();
    } else if (TryAcquire()) {
      waited = PollForSelf(done, spot, deadline);
      if (waited != Waited::kRoleLost) Release();
    } else if (may_borrow && TryBorrow()) {
      waited = PollBorrowed(done, deadline);
      may_borrow = false;  // what takes that long is waited for asleep
    } else {
      waited = Follow(spot, done, deadline, may_borrow) ? Waited::kRoleLost : Waited::kTooLong;
      followed = true;
    }
    if (waited == Waited::kTooLong) break;
  }
  // The chance to take the role must not leave with one who does not need it any more.
  if (followed && role_.load(std::memory_order_seq_cst) == kFree) FindOwner();
  return done();
}

template <class Done>
Reactor::Waited Reactor::PollForSelf(const Done& done, WaitSpot* spot, int64_t deadline) {
  may_run_handlers_ = false;
  Waited waited = Waited::kTooLong;
  int for_others = 0;
  spinner_.Begin();
  for (;;) {
    const Pass pass = PollOnce();
    if (done()) {
      spinner_.Hit();
      waited = Waited::kDone;
      break;
    }
    if (pass == Pass::kIdle && spinner_.KeepSpinning()) {
      CpuRelax();
      continue;
    }
    if (pass == Pass::kProgress) spinner_.Hit();
    if (pass == Pass::kIdle) spinner_.Miss();
    const bool offer = pass == Pass::kProgress && ++for_others >= kMaxForOthers;
    if (offer) for_others = 0;
    if (pass == Pass::kIdle || (offer && spinner_.adapts() && can_leave_role())) {
      HandOffLease();
      spot->EnterSleep(nullptr, this);
      const bool has_role = Sleep(deadline, done, offer ? WhileAsleep::kOfferRole : WhileAsleep::kLeaveRole);
      spot->LeaveSleep();
      if (!has_role) return Waited::kRoleLost;
    }
    if (deadline != kNever && MonotonicNanos() >= deadline) break;
    spinner_.Begin();
  }
  may_run_handlers_ = true;
  return waited;
}

template <class Done>
Reactor::Waited Reactor::PollBorrowed(const Done& done, int64_t deadline) {
  Waited waited = Waited::kRoleLost;
  bool offer = true;
  int for_others = 0;
  spinner_.Begin();
  for (;;) {
    const Pass pass = PollOnce();
    if (done()) {
      spinner_.Hit();
      waited = Waited::kDone;
      break;
    }
    if (pass == Pass::kIdle) {
      if (spinner_.KeepSpinning()) {
        CpuRelax();
        continue;
      }
      spinner_.Miss();
      offer = false;  // what did not come to this one will not come to another
      break;
    }
    spinner_.Hit();
    if (++for_others >= kMaxForOthers) break;
    if (deadline != kNever && MonotonicNanos() >= deadline) {
      waited = Waited::kTooLong;
      break;
    }
    spinner_.Begin();
  }
  GiveBack(offer);
  return waited;
}

template <class Done>
bool Reactor::PollUntil(const Done& done) {
  spinner_.Begin();
  while (!done()) {
    const Pass pass = PollOnce();
    if (pass == Pass::kRoleLost) return false;
    if (pass == Pass::kProgress) {
      spinner_.Hit();
      spinner_.Begin();
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
