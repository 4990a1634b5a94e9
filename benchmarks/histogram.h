#ifndef NEARCALL_BENCHMARKS_HISTOGRAM_H_
#define NEARCALL_BENCHMARKS_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// Counts durations in log-linear buckets, 256 to each power of two: no figure is off by more than 0.4%. (What the
// framework's own metrics count in is coarser, and atomic.)
//
// Threads: thread-compatible.
class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  void Record(int64_t nanos) { ++counts_[BucketOf(nanos)]; }
  void Add(const Histogram& other);
  void Add(const Buckets& buckets);
  void CopyTo(Buckets* buckets) const;

  int64_t count() const;
  // The duration that `fraction` of all do not exceed, in nanoseconds; 0 where there are none.
  double Percentile(double fraction) const;
  // (fraction, nanoseconds) of each bucket that is not empty, in order.
  std::vector<std::pair<double, double>> Distribution() const;

 private:
  static constexpr int kSubBits = 8;
  static constexpr int kMaxExponent = 40;  // 18 minutes
  static constexpr size_t kBuckets = (size_t{kMaxExponent} - kSubBits + 2) << kSubBits;

  static size_t BucketOf(int64_t nanos);
  static double MiddleOf(size_t bucket);

  std::vector<int64_t> counts_;
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_HISTOGRAM_H_
