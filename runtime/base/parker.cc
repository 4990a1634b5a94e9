#include "runtime/base/parker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/base/clock.h"

namespace nearcall {

Parker* Parker::ForThisThread() {
  static thread_local Parker parker;
  return &parker;
}

bool Parker::Park(int64_t deadline) {
  uint32_t expected = kEmpty;
  if (!state_.compare_exchange_strong(expected, kParked, std::memory_order_acq_rel)) {
    state_.exchange(kEmpty, std::memory_order_acq_rel);  // it was kNotified: consume it, and see what came before it
    return true;
  }
  timespec until;
  if (deadline != kNever) {
    until.tv_sec = deadline / 1'000'000'000;
    until.tv_nsec = deadline % 1'000'000'000;
  }
  // FUTEX_WAIT_BITSET takes an absolute time on the monotonic clock.
  const long result = syscall(SYS_futex, &state_, FUTEX_WAIT_BITSET_PRIVATE, kParked,
                              deadline == kNever ? nullptr : &until, nullptr, FUTEX_BITSET_MATCH_ANY);
  const bool timed_out = result != 0 && errno == ETIMEDOUT;
  const bool notified = state_.exchange(kEmpty, std::memory_order_acq_rel) == kNotified;
  return notified || !timed_out;
}

void Parker::Unpark() {
  if (state_.exchange(kNotified, std::memory_order_acq_rel) == kParked) {
    syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    ++Woken();
  }
}

bool Waiters::Wait(absl::Mutex* mu, int64_t deadline) {
  Parker* const parker = Parker::ForThisThread();
  parkers_.push_back(parker);
  mu->Unlock();
  const bool in_time = parker->Park(deadline);
  mu->Lock();
  parkers_.erase(std::find(parkers_.begin(), parkers_.end(), parker));
  return in_time;
}

}  // namespace nearcall
