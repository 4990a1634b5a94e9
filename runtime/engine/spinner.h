#ifndef NEARCALL_RUNTIME_ENGINE_SPINNER_H_
#define NEARCALL_RUNTIME_ENGINE_SPINNER_H_

#include <sched.h>

#include <algorithm>
#include <cstdint>

#include "nearcall/spin.h"
#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"

namespace nearcall {

// Decides how long a poller looks again before it sleeps: the one waiting policy of all transports.
//
// Sleeping costs the waker a system call and the sleeper tens of microseconds; spinning costs the CPU. The budget is
// what one wait may spin for. A wait that ends within it restores the whole budget, one that does not halves it, down
// to none. From none, one wait in kProbeEvery tries the whole budget again, so that better times are noticed. It takes
// two to spin: a side that finds that it pays must go on for long enough for the other side to find out, too. Who may
// run on one CPU only cannot know whether the peer has another one: it begins without a budget, and tries less and less
// often while that does not pay.
//
// A spinner is a good neighbour: a scheduler lets a thread that never sleeps run for milliseconds, in which it makes
// thousands of calls while threads that share its CPU make none. So it offers its CPU to them more often than that; and
// in a crowd, where a look costs about what changing threads does (a system call), as soon as it has to wait: what the
// others then send goes along with what it waits for.
//
// Threads: the poller's own.
class Spinner {
 public:
  // Begins with the whole budget, so that the first calls of a connection are as fast as the later ones.
  explicit Spinner(Spin policy) : policy_(policy) {
    if (policy == Spin::kAlways || (policy == Spin::kAdaptive && AllowedCpus() > 1)) budget_ = kMaxBudget;
  }

  // A wait begins. `crowded`: other threads wait too, each for something of its own, and whoever has got it wants to
  // run.
  void Begin(bool crowded = false) {
    passes_ = 0;
    times_away_ = 0;
    limit_ = budget_;
    crowded_ = crowded;
    if (crowded) began_ = CycleCount();
  }

  // After a fruitless look: whether to look again. Reads the clock on few passes only.
  bool KeepSpinning() {
    if (limit_ == 0) {
      // Only here does it show that this is a wait at all.
      if (policy_ == Spin::kAdaptive) limit_ = ProbeBudget();
      if (limit_ == 0) return false;
    }
    ++passes_;
    if (++passes_since_look_ >= kPassesPerLook && TurnIsOver()) return GiveWay();
    if (crowded_ && passes_ == kPassesToJudge && LooksAreSlow()) return GiveWay();
    if (passes_ % kPassesPerClock != 0) return true;
    const int64_t now = MonotonicNanos();
    if (passes_ == kPassesPerClock || WasAway(now)) {
      looked_at_clock_ = started_ = now;
      return true;
    }
    looked_at_clock_ = now;
    return now - started_ < limit_;
  }

  // What the policy says. Any thread.
  bool may_spin() const { return policy_ != Spin::kNever; }
  bool adapts() const { return policy_ == Spin::kAdaptive; }

  // The wait ended while spinning.
  void Hit() {
    // What was there at the first look was not waited for, and says nothing about waiting.
    if (policy_ != Spin::kAdaptive || passes_ == 0 || budget_ == kMaxBudget) return;
    if (passes_ > kPassesPerClock) {
      const int64_t now = MonotonicNanos();
      if (now - looked_at_clock_ > kAway) return;
      if (now - started_ > limit_) return Miss();
    }
    budget_ = kMaxBudget;
    probe_after_ = kProbeEvery;
  }

  // The wait was not over within the budget: the poller sleeps now.
  void Miss() {
    if (policy_ != Spin::kAdaptive || limit_ == 0) return;
    budget_ = budget_ / 2 < kMinBudget ? 0 : budget_ / 2;
  }

 private:
  static constexpr int64_t kMaxBudget = 60'000;  // a little more than waking a CPU costs, in nanoseconds
  static constexpr int64_t kMinBudget = 2'000;
  static constexpr uint32_t kPassesPerClock = 32;
  static constexpr int64_t kTurn = 200'000;  // a hundred times what changing threads costs
  static constexpr uint32_t kPassesPerLook = 256;
  static constexpr uint64_t kSlowLook = 150;  // nanoseconds: a look at memory takes a tenth, a system call twice that
  static constexpr uint32_t kPassesToJudge = 2;
  static constexpr int64_t kAway = 50'000;
  static constexpr uint32_t kMaxTimesAway = 4;  // in one wait; so that slow passes are not taken for that for ever
  static constexpr uint32_t kProbeEvery = 64;
  static constexpr uint32_t kProbeAtLeastEvery = 512;

  // Whether somebody else had the CPU between the last look at the clock and now: what passed then was no spinning.
  bool WasAway(int64_t now) { return now - looked_at_clock_ > kAway && ++times_away_ <= kMaxTimesAway; }

  bool TurnIsOver() {
    passes_since_look_ = 0;
    return MonotonicNanos() - turn_began_ >= kTurn;
  }
  bool LooksAreSlow() const { return CycleCount() - began_ > CyclesIn(kPassesToJudge * kSlowLook); }

  // Lets others that wait for this CPU have it; then to look again. How long they have taken says nothing about this
  // wait: its time counts from here.
  bool GiveWay() {
    sched_yield();
    turn_began_ = MonotonicNanos();
    passes_ = 0;
    crowded_ = false;  // once in a wait
    return true;
  }

  int64_t ProbeBudget() {
    if (++waits_without_ < probe_after_) return 0;
    waits_without_ = 0;
    probe_after_ =
        AllowedCpus() > 1 ? kProbeEvery : std::min(std::max(2 * probe_after_, kProbeEvery), kProbeAtLeastEvery);
    return kMaxBudget;
  }

  const Spin policy_;
  int64_t budget_ = 0;
  int64_t limit_ = 0;  // of this wait
  int64_t started_ = 0;
  int64_t looked_at_clock_ = 0;
  uint32_t times_away_ = 0;
  uint32_t passes_ = 0;
  uint32_t passes_since_look_ = 0;
  int64_t turn_began_ = 0;
  bool crowded_ = false;
  uint64_t began_ = 0;          // this wait, if crowded; by CycleCount
  uint32_t waits_without_ = 0;  // since the last probe
  uint32_t probe_after_ = 1;    // so many of them comes the next one
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SPINNER_H_
