#ifndef NEARCALL_RUNTIME_ENGINE_INLINE_RUNS_H_
#define NEARCALL_RUNTIME_ENGINE_INLINE_RUNS_H_

#include <cstdint>
#include <utility>

#include "runtime/base/clock.h"

namespace nearcall {

// How long handlers run on the poller's thread.
//
// To read the clock takes as long as eighty instructions, and somebody waits for a handler's begin and for its answer.
// So the clock is read once a run, when its answer is on the way: the time since the end of the run before is never
// less than the run took, and is short where calls come in quick succession. A method for which that was long is
// suspected, and its next run is timed by itself.
//
// Threads: the poller's.
class InlineRuns {
 public:
  // What is known of one method.
  class Method {
   public:
    // Whether the run that begins now is to be timed by itself.
    bool TimeThis() { return std::exchange(suspected_, false); }

   private:
    friend class InlineRuns;
    bool suspected_ = true;
  };

  // A run has ended `now` (CycleCount); `timed`: it was timed by itself.
  void Ended(Method* method, bool timed, uint64_t now) {
    const bool long_ago = now - std::exchange(last_end_, now) > CyclesIn(kLongRunNanos);
    if (long_ago && !timed) method->suspected_ = true;
  }

  // A handler on the poller's thread that takes this long (a tenth of a millisecond, give or take the CPU) goes to a
  // worker next time: it holds up every connection.
  static constexpr uint64_t kLongRunNanos = 100'000;

 private:
  uint64_t last_end_ = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_INLINE_RUNS_H_
