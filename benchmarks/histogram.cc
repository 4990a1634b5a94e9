#include "benchmarks/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace nearcall::benchmarks {

size_t Histogram::BucketOf(int64_t nanos) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(nanos, 0));
  if (value < (uint64_t{1} << kSubBits)) return value;
  const int exponent = std::bit_width(value) - 1;
  if (exponent > kMaxExponent) return kBuckets - 1;
  const int shift = exponent - kSubBits;
  return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
}

double Histogram::MiddleOf(size_t bucket) {
  if (bucket < (size_t{2} << kSubBits)) return static_cast<double>(bucket);
  const size_t shift = (bucket >> kSubBits) - 1;
  const size_t leading = bucket - (shift << kSubBits);
  return static_cast<double>(uint64_t{leading} << shift) + static_cast<double>((uint64_t{1} << shift) - 1) / 2;
}

void Histogram::Add(const Histogram& other) {
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) counts_[bucket] += other.counts_[bucket];
}

void Histogram::Add(const Buckets& buckets) {
  for (int i = 0; i < std::min(buckets.bucket_size(), buckets.count_size()); ++i) {
    counts_[std::min<size_t>(buckets.bucket(i), kBuckets - 1)] += buckets.count(i);
  }
}

void Histogram::CopyTo(Buckets* buckets) const {
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    if (counts_[bucket] == 0) continue;
    buckets->add_bucket(static_cast<uint32_t>(bucket));
    buckets->add_count(counts_[bucket]);
  }
}

int64_t Histogram::count() const {
  int64_t sum = 0;
  for (const int64_t count : counts_) sum += count;
  return sum;
}

double Histogram::Percentile(double fraction) const {
  const auto rank = std::max<int64_t>(static_cast<int64_t>(std::ceil(fraction * static_cast<double>(count()))), 1);
  int64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return MiddleOf(bucket);
  }
  return 0;
}

std::vector<std::pair<double, double>> Histogram::Distribution() const {
  std::vector<std::pair<double, double>> points;
  const auto all = static_cast<double>(count());
  int64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    if (counts_[bucket] == 0) continue;
    seen += counts_[bucket];
    points.emplace_back(static_cast<double>(seen) / all, MiddleOf(bucket));
  }
  return points;
}

}  // namespace nearcall::benchmarks
