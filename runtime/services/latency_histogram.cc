#include "runtime/services/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace nearcall {

size_t LatencyHistogram::BucketOf(int64_t nanos) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(nanos, 0));
  if (value < (uint64_t{1} << kSubBits)) return value;
  const int exponent = std::bit_width(value) - 1;
  if (exponent > kMaxExponent) return kBuckets - 1;
  const int shift = exponent - kSubBits;
  return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
}

int64_t LatencyHistogram::UpperEndOf(size_t bucket) {
  if (bucket < (size_t{2} << kSubBits)) return static_cast<int64_t>(bucket);
  const size_t shift = (bucket >> kSubBits) - 1;
  const size_t leading = bucket - (shift << kSubBits);
  return static_cast<int64_t>(((uint64_t{leading} + 1) << shift) - 1);
}

void LatencyHistogram::Record(int64_t nanos) {
  counts_[BucketOf(nanos)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(nanos, std::memory_order_relaxed);
  int64_t max = max_.load(std::memory_order_relaxed);
  while (nanos > max && !max_.compare_exchange_weak(max, nanos, std::memory_order_relaxed)) {
  }
}

LatencyMetrics LatencyHistogram::Snapshot() const {
  LatencyMetrics snapshot;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const int64_t count = counts_[bucket].load(std::memory_order_relaxed);
    if (count == 0) continue;
    snapshot.count += count;
    snapshot.buckets.push_back({absl::Nanoseconds(UpperEndOf(bucket)), count});
  }
  snapshot.sum = absl::Nanoseconds(sum_.load(std::memory_order_relaxed));
  snapshot.max = absl::Nanoseconds(max_.load(std::memory_order_relaxed));
  return snapshot;
}

absl::Duration LatencyMetrics::Percentile(double fraction) const {
  // The rank of the call that is asked for, from 1.
  const auto rank = std::max<int64_t>(static_cast<int64_t>(std::ceil(fraction * static_cast<double>(count))), 1);
  int64_t seen = 0;
  for (const Bucket& bucket : buckets) {
    seen += bucket.count;
    if (seen >= rank && seen < count) return std::min(bucket.upper, max);
  }
  return max;  // the last bucket's most is known
}

}  // namespace nearcall
