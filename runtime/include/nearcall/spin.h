#ifndef NEARCALL_SPIN_H_
#define NEARCALL_SPIN_H_

namespace nearcall {

// How a thread waits for its peer. Waking a sleeping CPU costs tens of microseconds, polling memory a fraction of one;
// a thread that polls, however, keeps its CPU from others. Whatever is chosen, a process with nothing to do sleeps.
enum class Spin {
  kAdaptive,  // spin for as long as spinning has paid lately
  kNever,     // sleep at once: the least CPU, tens of microseconds more latency
  kAlways,    // spin for the longest budget each time: for measurements and for machines with CPUs to spare
};

}  // namespace nearcall

#endif  // NEARCALL_SPIN_H_
