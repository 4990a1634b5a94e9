#include "runtime/engine/poller_role.h"

#include <algorithm>

namespace nearcall {

thread_local constinit PollerRole::Lease* PollerRole::Lease::current_ = nullptr;

// --- Lent ---

uint64_t PollerRole::lent_ticket() const {
  const uint64_t role = role_.load(std::memory_order_relaxed);
  return (role & kStateMask) == kLent ? role : 0;
}

bool PollerRole::Steal(uint64_t ticket) {
  if (!Reclaim(ticket)) return false;
  if (lent_for_ != nullptr) lent_for_->OnLeaseLost();
  return true;
}

void PollerRole::HandOffLease() {
  Lease* const lease = Lease::current_;
  if (lease == nullptr || lease->lost_ || lease->ticket_ == 0) return;
  lease->lost_ = true;
  if (lease->role_->Steal(lease->ticket_)) lease->role_->Release();
}

// --- Left ---

bool PollerRole::TryBorrow() { return Move(kLeft, kBorrowed); }

bool PollerRole::TryGiveBack() { return Move(kBorrowed, kLeft); }

bool PollerRole::ReturnFromSleep(absl::FunctionRef<void()> tell) {
  bool told = false;
  for (;;) {
    if (Move(kLeft, kHeld)) return true;
    if (!std::exchange(told, true)) tell();
    if (Move(kBorrowed, kHeld)) return false;
  }
}

// --- Followers ---

bool PollerRole::Follow(WaitSpot* spot, absl::FunctionRef<bool()> done, int64_t deadline, bool may_borrow) {
  Parker* const parker = Parker::ForThisThread();
  HandOffLease();
  {
    internal::MutexLock lock(&mu_);
    follower_list_.push_back({parker, may_borrow});
  }
  followers_.fetch_add(1, std::memory_order_seq_cst);
  if (may_borrow) borrowers_.fetch_add(1, std::memory_order_seq_cst);
  const auto has_chance = [&] {
    const uint64_t role = role_.load(std::memory_order_seq_cst);
    return role == kFree || (may_borrow && role == kLeft);
  };
  spot->EnterSleep(parker, nullptr);
  bool in_time = true;
  while (in_time && !done() && !has_chance()) {
    in_time = parker->Park(deadline);
    // Whoever wakes may be the one that was promoted; from here on the next Release promotes anew. Before the look at
    // the role: a Release that still saw the promotion under way has freed the role by then.
    promoting_.store(false, std::memory_order_seq_cst);
  }
  spot->LeaveSleep();
  if (may_borrow) borrowers_.fetch_sub(1, std::memory_order_seq_cst);
  followers_.fetch_sub(1, std::memory_order_seq_cst);
  {
    internal::MutexLock lock(&mu_);
    follower_list_.erase(std::find_if(follower_list_.begin(), follower_list_.end(),
                                      [=](const Follower& follower) { return follower.parker == parker; }));
  }
  promoting_.store(false, std::memory_order_seq_cst);
  return in_time;
}

void PollerRole::FindOwner() {
  if (on_vacant_ && on_vacant_()) return;
  if (followers_.load(std::memory_order_seq_cst) > 0) PromoteFollower();
}

void PollerRole::PromoteFollower() {
  if (promoting_.exchange(true, std::memory_order_seq_cst)) return;  // one is on its way
  internal::MutexLock lock(&mu_);
  if (follower_list_.empty()) return promoting_.store(false, std::memory_order_seq_cst);
  follower_list_.front().parker->Unpark();
}

void PollerRole::OfferToFollower() {
  if (borrowers_.load(std::memory_order_seq_cst) == 0) return;
  internal::MutexLock lock(&mu_);
  const auto borrower = std::find_if(follower_list_.begin(), follower_list_.end(),
                                     [](const Follower& follower) { return follower.may_borrow; });
  // Not by promoting_: who finds it set must be able to rely on a thread that comes.
  if (borrower != follower_list_.end()) borrower->parker->Unpark();
}

}  // namespace nearcall
