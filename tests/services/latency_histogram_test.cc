#include "runtime/services/latency_histogram.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace nearcall {
namespace {

constexpr int64_t kHour = int64_t{3600} * 1'000'000'000;

// Around every power of two, and at random.
std::vector<int64_t> Samples() {
  std::vector<int64_t> samples = {0};
  for (int exponent = 0; exponent < 62; ++exponent) {
    for (int64_t off = -2; off <= 2; ++off) samples.push_back(std::max<int64_t>((int64_t{1} << exponent) + off, 0));
  }
  std::mt19937_64 random(4711);
  for (int i = 0; i < 100'000; ++i) samples.push_back(static_cast<int64_t>(random() >> (2 + random() % 60)));
  return samples;
}

TEST(LatencyHistogramTest, EveryValueIsInItsBucket) {
  for (const int64_t value : Samples()) {
    const size_t bucket = LatencyHistogram::BucketOf(value);
    ASSERT_LT(bucket, LatencyHistogram::kBuckets) << value;
    if (bucket == LatencyHistogram::kBuckets - 1) continue;
    const int64_t upper = LatencyHistogram::UpperEndOf(bucket);
    const int64_t lower = bucket == 0 ? 0 : LatencyHistogram::UpperEndOf(bucket - 1) + 1;
    ASSERT_LE(lower, value);
    ASSERT_GE(upper, value);
    ASSERT_LE(upper - lower + 1, std::max<int64_t>(lower / 32, 1)) << value;
  }
}

TEST(LatencyHistogramTest, BucketsCoverAnHourAndFollowEachOther) {
  for (size_t bucket = 0; bucket + 1 < LatencyHistogram::kBuckets; ++bucket) {
    const int64_t upper = LatencyHistogram::UpperEndOf(bucket);
    ASSERT_EQ(LatencyHistogram::BucketOf(upper), bucket);
    ASSERT_EQ(LatencyHistogram::BucketOf(upper + 1), bucket + 1);
  }
  EXPECT_LT(LatencyHistogram::BucketOf(kHour), LatencyHistogram::kBuckets - 1);
  EXPECT_EQ(LatencyHistogram::BucketOf(INT64_MAX), LatencyHistogram::kBuckets - 1);
  EXPECT_EQ(LatencyHistogram::BucketOf(-1), 0);
}

TEST(LatencyHistogramTest, Empty) {
  const LatencyMetrics snapshot = LatencyHistogram().Snapshot();
  EXPECT_EQ(snapshot.count, 0);
  EXPECT_TRUE(snapshot.buckets.empty());
  EXPECT_EQ(snapshot.Percentile(0.5), absl::ZeroDuration());
}

TEST(LatencyHistogramTest, OneValueIsEveryPercentile) {
  LatencyHistogram histogram;
  histogram.Record(123'456'789);
  for (const double fraction : {0.0, 0.5, 0.999, 1.0}) {
    EXPECT_EQ(histogram.Snapshot().Percentile(fraction), absl::Nanoseconds(123'456'789));
  }
}

TEST(LatencyHistogramTest, PercentilesAreWithinTheirError) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> latencies(8, 2);  // around 3 us, with a long tail
  LatencyHistogram histogram;
  std::vector<int64_t> values;
  int64_t sum = 0;
  for (int i = 0; i < 50'000; ++i) {
    values.push_back(static_cast<int64_t>(latencies(random)));
    sum += values.back();
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  const LatencyMetrics snapshot = histogram.Snapshot();
  EXPECT_EQ(snapshot.count, 50'000);
  EXPECT_EQ(snapshot.sum, absl::Nanoseconds(sum));
  EXPECT_EQ(snapshot.max, absl::Nanoseconds(values.back()));
  EXPECT_EQ(snapshot.Percentile(1.0), snapshot.max);
  for (const double fraction : {0.0001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const int64_t exact = values[static_cast<size_t>(std::ceil(fraction * 50'000)) - 1];
    const int64_t told = absl::ToInt64Nanoseconds(snapshot.Percentile(fraction));
    EXPECT_GE(told, exact) << fraction;
    EXPECT_LE(told, exact + exact / 32) << fraction;
  }
}

TEST(LatencyHistogramTest, NothingIsLostBetweenThreads) {
  constexpr int kThreads = 4, kValues = 50'000;
  const auto histogram = std::make_unique<LatencyHistogram>();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < kValues; ++j) histogram->Record(j % 100 + i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const LatencyMetrics snapshot = histogram->Snapshot();
  EXPECT_EQ(snapshot.count, kThreads * kValues);
  EXPECT_EQ(snapshot.max, absl::Nanoseconds(99 + kThreads - 1));
  int64_t sum = 0;
  for (int i = 0; i < kThreads; ++i) {
    for (int j = 0; j < kValues; ++j) sum += j % 100 + i;
  }
  EXPECT_EQ(snapshot.sum, absl::Nanoseconds(sum));
}

}  // namespace
}  // namespace nearcall
