#ifndef NEARCALL_RUNTIME_SERVICES_LATENCY_HISTOGRAM_H_
#define NEARCALL_RUNTIME_SERVICES_LATENCY_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "nearcall/metrics.h"

namespace nearcall {

// Counts durations in log-linear buckets: 32 to each power of two, so that a bucket is at most 1/32 as wide as its
// lower end. Nanoseconds below 64 have a bucket each; more than 73 minutes count as the last bucket's.
//
//   nanoseconds   0 1 2 ... 63 | 64-65 66-67 ... 126-127 | 128-131 ... 252-255 | ...
//   bucket        0 1 2 ... 63 |  64    65   ...    95   |   96    ...   127   | ...
//
// Threads: thread-safe and lock-free. Every atomic is relaxed: they publish nothing but themselves.
class LatencyHistogram {
 public:
  static constexpr int kSubBits = 5;
  static constexpr int kMaxExponent = 41;  // the last power of two that has buckets of its own
  static constexpr size_t kBuckets = (size_t{kMaxExponent} - kSubBits + 2) << kSubBits;

  void Record(int64_t nanos);
  LatencyMetrics Snapshot() const;

  // The bucket that `nanos` is counted in, and the most that a bucket holds.
  static size_t BucketOf(int64_t nanos);
  static int64_t UpperEndOf(size_t bucket);

 private:
  std::array<std::atomic<int64_t>, kBuckets> counts_{};
  std::atomic<int64_t> sum_{0};
  std::atomic<int64_t> max_{0};
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_SERVICES_LATENCY_HISTOGRAM_H_
