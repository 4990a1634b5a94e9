#ifndef NEARCALL_RUNTIME_ENGINE_POLLER_ROLE_H_
#define NEARCALL_RUNTIME_ENGINE_POLLER_ROLE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/cpu.h"
#include "runtime/base/parker.h"
#include "runtime/engine/wait_spot.h"

namespace nearcall {

// Who polls for a Reactor: a role that one thread holds at a time.
//
// No thread belongs to a reactor. On a channel the threads that wait for replies take the role in turn: one polls for
// all, the others, its *followers*, sleep, and the role passes on when the poller has what it came for. On a server
// worker threads hold it (WorkerPool); while the poller runs a handler it *lends* the role: it takes it back afterwards
// at the price of one compare-and-swap, unless the handler took so long that a standby thread has taken the role
// meanwhile.
//
//             Acquire                Lend
//     free ------------> held <---------------> lent
//       ^  <------------  |  ^     Reclaim       |
//       |     Release     |  +-------------------+ Steal (by another thread)
//       +----------------------------------------+ HandOff (by the lender, before it blocks)
//
// A poller that sleeps while it waits for something of its own leaves the role to whoever wants it meanwhile:
//
//                  Leave                 Borrow
//     held <----------------> left <-----------------> borrowed
//       ^    ReturnFromSleep           GiveBack            |
//       +--------------------------------------------------+ the sleeper has returned, and leaves the role for good
//
// So one thread's long wait costs the short waits of others nothing: neither has to wake the other. The model in
// poller_role.pml is of this part.
//
// Threads: thread-safe; who may call what is said with each function.
class PollerRole {
 public:
  // What the role is lent for. Told when the lease is lost, while the handler still runs, by whichever thread ends it.
  class LeaseObserver {
   public:
    virtual void OnLeaseLost() = 0;

   protected:
    ~LeaseObserver() = default;
  };

  // A server thread's hold on the role while its handler runs.
  class Lease {
   public:
    // Of the calling thread, while it runs a handler; else nullptr.
    static Lease* Current() { return current_; }
    bool lost() const { return lost_; }

   private:
    friend class PollerRole;
    static thread_local constinit Lease* current_;
    PollerRole* role_ = nullptr;
    uint64_t ticket_ = 0;  // 0 while the role is taken back to poll from inside the handler
    bool lost_ = false;
  };

  PollerRole() = default;
  PollerRole(const PollerRole&) = delete;
  PollerRole& operator=(const PollerRole&) = delete;

  bool TryAcquire();
  // Holder only. Gives the role up; wakes one thread that waits for it.
  void Release();

  // --- Lent while a handler runs ---

  // Holder only. Lends the role for the time of a handler that may block, on the calling thread. `observer`, if there
  // is one, must live for as long as others may take the role.
  void BeginLease(Lease* lease, LeaseObserver* observer = nullptr);
  // Takes it back. False if the role is lost: somebody else polls now.
  bool EndLease(Lease* lease);
  // The lease of the calling thread if it is one of this role and not lost; else nullptr.
  Lease* OwnLease();
  // Takes the role back within the lease, until LendAgain. False: it is lost.
  bool Reclaim(Lease* lease);
  // `held`: the role was not lost meanwhile.
  void LendAgain(Lease* lease, bool held);
  // To be called before the calling thread blocks elsewhere: gives a lent role to others.
  static void HandOffLease();

  // The ticket under which the role is lent now; 0 if it is not.
  uint64_t lent_ticket() const;
  // Takes over the role if it was lent with `ticket` and still is. For standby threads.
  bool Steal(uint64_t ticket);
  // Whoever watches for leases that last too long may doze while nothing is lent; `wake` is called when something is.
  // Set before first use.
  void set_wake_watcher(std::function<void()> wake) { wake_watcher_ = std::move(wake); }
  // After set_watcher_dozes(true) and a MembarrierOfProcess, either lent_ticket() shows a lease, or its lender sees the
  // flag and wakes the watcher.
  void set_watcher_dozes(bool dozes) { watcher_dozes_.store(dozes, std::memory_order_seq_cst); }

  // --- Left while its holder sleeps ---

  // Holder only, before it sleeps.
  void Leave() { role_.store(kLeft, std::memory_order_seq_cst); }
  // Takes a role that was left; until TryGiveBack.
  bool TryBorrow();
  // False: the sleeper has returned, and the role is the borrower's own.
  bool TryGiveBack();
  // By the thread that has left the role: takes it back. False: it is borrowed, and the borrower's own from now on;
  // `tell` has been called, once, so that it learns what this thread was woken for.
  bool ReturnFromSleep(absl::FunctionRef<void()> tell);

  // --- Followers ---

  // Sleeps until `done()`, the deadline (then false), or a chance to take the role; `may_borrow`: or to borrow it.
  bool Follow(WaitSpot* spot, absl::FunctionRef<bool()> done, int64_t deadline, bool may_borrow);
  // Whoever has followed must not leave with the chance to take the role: gives it to another one if it is there.
  void PassOnChance() {
    if (role_.load(std::memory_order_seq_cst) == kFree) FindOwner();
  }
  // Wakes a follower that would borrow the role, if there is one.
  void OfferToFollower();
  // Whether there are any; a hint.
  bool has_followers() const { return followers_.load(std::memory_order_relaxed) > 0; }

  // Told when the role has no owner and somebody should take it; says whether it found a thread to. Set before first
  // use.
  void set_on_vacant(std::function<bool()> on_vacant) { on_vacant_ = std::move(on_vacant); }

 private:
  enum State : uint64_t { kFree = 0, kHeld = 1, kLent = 2, kLeft = 3, kBorrowed = 4, kStateMask = 7 };
  static constexpr int kTicketShift = 3;
  struct Follower {
    Parker* parker;
    bool may_borrow;
  };

  uint64_t Lend();
  bool Reclaim(uint64_t ticket);
  // From one state to another, if it is in that.
  bool Move(uint64_t from, uint64_t to) { return role_.compare_exchange_strong(from, to, std::memory_order_seq_cst); }
  // The role was left without an owner: finds one.
  void FindOwner();
  // Wakes a follower to take the role.
  void PromoteFollower();

  // Release's exchange to kFree pairs with a follower's TryAcquire after it has counted itself in followers_: one of
  // the two sees the other; likewise TryGiveBack's to kLeft. Reclaim, Steal and HandOff compete for one ticket by
  // compare-and-swap, and so do the sleeper, who wants a role that was left back, and whoever borrows it.
  alignas(kCacheLine) std::atomic<uint64_t> role_{kFree};
  uint64_t tickets_ = 0;               // the holder's
  LeaseObserver* lent_for_ = nullptr;  // the same; of the last lease that was begun
  // Set while the watcher of long leases dozes. Pairs with Lend, which looks here once it has changed role_.
  std::atomic<bool> watcher_dozes_{false};
  std::atomic<int> followers_{0};
  std::atomic<int> borrowers_{0};  // those of them who would borrow the role
  // Whether a follower was woken to take the role and has not tried yet: one at a time is enough.
  std::atomic<bool> promoting_{false};

  alignas(kCacheLine) std::function<bool()> on_vacant_;
  std::function<void()> wake_watcher_;
  internal::Mutex mu_;
  std::vector<Follower> follower_list_ ABSL_GUARDED_BY(mu_);
};

// --- Implementation of what every call goes through ---

inline bool PollerRole::TryAcquire() { return Move(kFree, kHeld); }

inline void PollerRole::Release() {
  role_.exchange(kFree, std::memory_order_seq_cst);
  if (on_vacant_ || followers_.load(std::memory_order_seq_cst) > 0) FindOwner();
}

inline uint64_t PollerRole::Lend() {
  const uint64_t ticket = (++tickets_ << kTicketShift) | kLent;
  role_.store(ticket, std::memory_order_release);  // pairs with the acquire in Reclaim
  // The watcher's MembarrierOfProcess puts the store above before this load, so that nobody pays for a barrier here.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (watcher_dozes_.load(std::memory_order_relaxed)) wake_watcher_();
  return ticket;
}

inline bool PollerRole::Reclaim(uint64_t ticket) {
  return role_.compare_exchange_strong(ticket, kHeld, std::memory_order_acq_rel);
}

inline void PollerRole::BeginLease(Lease* lease, LeaseObserver* observer) {
  lease->role_ = this;
  lease->lost_ = false;
  lent_for_ = observer;
  lease->ticket_ = Lend();
  Lease::current_ = lease;
}

inline bool PollerRole::EndLease(Lease* lease) {
  Lease::current_ = nullptr;
  return !lease->lost_ && Reclaim(lease->ticket_);
}

inline PollerRole::Lease* PollerRole::OwnLease() {
  Lease* const lease = Lease::current_;
  return lease != nullptr && lease->role_ == this && !lease->lost_ ? lease : nullptr;
}

inline bool PollerRole::Reclaim(Lease* lease) {
  lease->lost_ = !Reclaim(std::exchange(lease->ticket_, 0));
  return !lease->lost_;
}

inline void PollerRole::LendAgain(Lease* lease, bool held) {
  lease->lost_ = !held;
  if (held) lease->ticket_ = Lend();
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_POLLER_ROLE_H_
