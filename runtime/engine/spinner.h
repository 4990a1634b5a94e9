#ifndef NEARCALL_RUNTIME_ENGINE_SPINNER_H_
#define NEARCALL_RUNTIME_ENGINE_SPINNER_H_

#include <sched.h>

#include <algorithm>
#include <cstdint>

#include "nearcall/spin.h"
#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"

namespace nearcall {

// What a spinner sees of the machine; another one in its test.
struct ThisMachine {
  static int64_t Nanos() { return MonotonicNanos(); }
  static int AllowedCpus() { return nearcall::AllowedCpus(); }
  static void GiveWay() { sched_yield(); }
};

// Decides how long a poller looks again before it sleeps: the one waiting policy of all transports.
//
// Sleeping costs the waker a system call and the sleeper tens of microseconds; spinning costs the CPU. The budget is
// what one wait may spin for. A wait that ends within it restores the whole budget, one that does not halves it, down
// to none. From none, some waits try the whole budget again, so that better times are noticed: soon at first, for a
// crowd that has come all at once has everybody wait for long in the beginning, and alone that each of them sleeps then
// keeps it so; then less and less often while it does not pay, down to one wait in kProbeEvery. It takes two to spin: a
// side that finds that it pays must go on for long enough for the other side to find out, too. Who may run on one CPU
// only cannot know whether the peer has another one: it begins without a budget, and tries more seldom still.
//
// Where waking a CPU takes longer than the budget, as in virtual machines at times, two sides that have begun to sleep
// would never find back: each one's probe is over before the other one is awake. So a probe may be *patient*: it goes
// on for longer, and if what it waits for comes then, the next waits are patient as well, until the other side has come
// to its own probe. If they do not become short, it is not the other side's sleep that takes so long: patience is then
// tried less and less often. And it is for a CPU that nobody else wants: it ends when somebody takes that.
//
// A spinner is a good neighbour: a scheduler lets a thread that never sleeps run for milliseconds, in which it makes
// thousands of calls while threads that share its CPU make none. So it offers its CPU to them more often than that; and
// in a crowd, where a look costs about what changing threads does, as soon as it has to wait: what the others then send
// goes along with what it waits for.
//
// Threads: the poller's own.
template <class Machine>
class BasicSpinner {
 public:
  // Begins with the whole budget, so that the first calls of a connection are as fast as the later ones.
  explicit BasicSpinner(Spin policy) : policy_(policy) {
    if (policy == Spin::kAlways) budget_ = kPatientBudget;
    if (policy == Spin::kAdaptive && Machine::AllowedCpus() > 1) budget_ = kMaxBudget;
  }

  // A wait begins. `crowded`: other threads wait too, each for something of its own, and whoever has got it wants to
  // run; and a look is a system call.
  void Begin(bool crowded = false) {
    passes_ = 0;
    times_away_ = 0;
    started_ = 0;
    limit_ = budget_;
    crowded_ = crowded;
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
    if (crowded_ && passes_ == kPassesInACrowd) return GiveWay();
    if (passes_ % kPassesPerClock != 0) return true;
    const int64_t now = Machine::Nanos();
    if (started_ == 0) {
      started_ = now;
    } else if (WasAway(now)) {
      NotSpun(now - looked_at_clock_);
    }
    looked_at_clock_ = now;
    if (now - started_ >= limit_) return false;
    const int64_t turn = one_cpu_ ? 0 : kMaxBudget;
    return !patient() || now - turn_began_ < turn || GiveWay();
  }

  // Lets others that wait for this CPU have it; then to look again. What is there then says nothing about waiting.
  bool GiveWay() {
    const int64_t gave = Machine::Nanos();
    Machine::GiveWay();
    turn_began_ = looked_at_clock_ = Machine::Nanos();
    NotSpun(turn_began_ - gave);
    passes_ = 0;
    crowded_ = false;  // once in a wait
    return true;
  }

  // What the policy says. Any thread.
  bool may_spin() const { return policy_ != Spin::kNever; }
  bool adapts() const { return policy_ == Spin::kAdaptive; }

  // The wait ended while spinning.
  void Hit() {
    // What was there at the first look was not waited for, and says nothing about waiting.
    if (policy_ != Spin::kAdaptive || passes_ == 0 || budget_ == kMaxBudget) return;
    if (started_ != 0) {
      const int64_t now = Machine::Nanos();
      if (now - looked_at_clock_ > kAway) return;
      if (patient() && now - started_ > kMaxBudget) return SpendPatience(/*fruitful=*/now - started_ <= limit_);
      if (now - started_ > limit_) return Miss();
    }
    budget_ = kMaxBudget;
    probe_after_ = kFirstProbe;
    patient_waits_ = 0;
    patient_after_ = std::max(patient_after_ / 2, 1u);
  }

  // The wait was not over within the budget: the poller sleeps now.
  void Miss() {
    if (policy_ != Spin::kAdaptive || limit_ == 0) return;
    if (patient()) return SpendPatience(/*fruitful=*/false);
    budget_ = budget_ / 2 < kMinBudget ? 0 : budget_ / 2;
  }

 private:
  static constexpr int64_t kMaxBudget = 60'000;  // a little more than waking a CPU costs, in nanoseconds
  static constexpr int64_t kMinBudget = 2'000;
  static constexpr uint32_t kPassesPerClock = 32;
  static constexpr int64_t kTurn = 200'000;  // a hundred times what changing threads costs
  static constexpr uint32_t kPassesPerLook = 256;
  static constexpr uint32_t kPassesInACrowd = 2;
  static constexpr int64_t kAway = 50'000;
  static constexpr uint32_t kMaxTimesAway = 4;  // in one wait; so that slow passes are not taken for that for ever
  static constexpr uint32_t kFirstProbe = 4;    // waits
  static constexpr uint32_t kProbeEvery = 64;
  static constexpr uint32_t kProbeAtLeastEvery = 512;
  static constexpr int64_t kPatientBudget = 240'000;    // more than waking a slow CPU costs
  static constexpr uint32_t kPatientAtLeastEvery = 64;  // probes
  static constexpr int64_t kNobodyElse = 2'000;         // what giving way takes if nobody wants the CPU, at most
  static constexpr int64_t kSpent = -1;

  // Whether somebody else had the CPU between the last look at the clock and now: what passed then was no spinning.
  bool WasAway(int64_t now) { return now - looked_at_clock_ > kAway && ++times_away_ <= kMaxTimesAway; }

  bool TurnIsOver() {
    passes_since_look_ = 0;
    return Machine::Nanos() - turn_began_ >= kTurn;
  }

  // Others had the CPU for so long.
  void NotSpun(int64_t nanos) {
    if (started_ != 0) started_ += nanos;
    if (!patient() || nanos < kNobodyElse) return;
    patient_waits_ = 0;
    limit_ = kSpent;
  }

  bool patient() const { return limit_ > kMaxBudget && policy_ == Spin::kAdaptive; }

  int64_t ProbeBudget() {
    if (patient_waits_ > 0) return PatientBudget();
    if (++waits_without_ < probe_after_) return 0;
    waits_without_ = 0;
    one_cpu_ = Machine::AllowedCpus() == 1;
    probe_after_ = std::min(2 * probe_after_, one_cpu_ ? kProbeAtLeastEvery : kProbeEvery);
    if (++probes_ < patient_after_) return kMaxBudget;
    probes_ = 0;
    return PatientBudget();
  }
  int64_t PatientBudget() {
    started_ = looked_at_clock_ = Machine::Nanos();
    return kPatientBudget;
  }
  // A patient wait took longer than the usual budget; `fruitful`: not longer than its own.
  void SpendPatience(bool fruitful) {
    if (patient_waits_ > 0) {
      if (--patient_waits_ == 0) patient_after_ = std::min(2 * patient_after_, kPatientAtLeastEvery);
    } else if (fruitful) {
      patient_waits_ = 2 * (one_cpu_ ? kProbeAtLeastEvery : kProbeEvery);  // the other side has a probe in
    }
  }

  const Spin policy_;
  int64_t budget_ = 0;
  int64_t limit_ = 0;    // of this wait; kSpent: no more of it
  int64_t started_ = 0;  // spinning, less what others took of the time; 0: the clock was not looked at yet
  int64_t looked_at_clock_ = 0;
  uint32_t times_away_ = 0;
  uint32_t passes_ = 0;
  uint32_t passes_since_look_ = 0;
  int64_t turn_began_ = 0;
  bool crowded_ = false;
  uint32_t waits_without_ = 0;  // since the last probe
  uint32_t probe_after_ = 1;    // so many of them comes the next one
  uint32_t probes_ = 0;         // since the last patient one
  uint32_t patient_after_ = 1;  // so many of them comes the next patient one
  uint32_t patient_waits_ = 0;  // that are still to come
  bool one_cpu_ = false;        // at the last probe: whom a wait is for may need this very one
};

using Spinner = BasicSpinner<ThisMachine>;

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SPINNER_H_
