#ifndef NEARCALL_TESTS_FAULTS_COUNTS_H_
#define NEARCALL_TESTS_FAULTS_COUNTS_H_

#include <atomic>
#include <cstdint>

#include "protos/testing/faults.pb.h"

namespace nearcall::testing {

// How often each fault has struck in this process. A test binary that links them ends with a failure if the one that is
// in force has not struck at all. Test servers tell theirs through the service of faults.proto.
//
// Threads: thread-safe, and safe in signal handlers. Relaxed: they are read when all is over.
struct Counts {
  std::atomic<int64_t> one_byte_reads{0};
  std::atomic<int64_t> one_byte_writes{0};
  std::atomic<int64_t> interruptions{0};
  std::atomic<int64_t> refusals{0};
  std::atomic<int64_t> delays{0};
};
inline Counts counts;

inline void Count(std::atomic<int64_t>& what) { what.fetch_add(1, std::memory_order_relaxed); }
FaultCounts CountsSoFar();

// Random numbers (splitmix64) that need no lock and no initialisation: what a signal handler may use.
inline uint64_t NextRandom(std::atomic<uint64_t>& state) {
  uint64_t value = state.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed);
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_FAULTS_COUNTS_H_
