#ifndef NEARCALL_RUNTIME_BASE_CLOCK_H_
#define NEARCALL_RUNTIME_BASE_CLOCK_H_

#include <time.h>

#include <cstdint>

#include "absl/time/clock.h"
#include "absl/time/time.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace nearcall {

// Points in time inside the framework are nanoseconds on the monotonic clock: the wall clock may jump.
inline constexpr int64_t kNever = INT64_MAX;

inline int64_t MonotonicNanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// The monotonic time that is `span` from now; kNever for an infinite or absurdly long span.
inline int64_t MonotonicAfter(absl::Duration span) {
  if (span >= absl::Hours(24 * 365 * 100)) return kNever;
  if (span <= absl::ZeroDuration()) return MonotonicNanos();
  return MonotonicNanos() + absl::ToInt64Nanoseconds(span);
}
inline int64_t MonotonicAt(absl::Time when) {
  return when == absl::InfiniteFuture() ? kNever : MonotonicAfter(when - absl::Now());
}
inline absl::Time WallTimeAt(int64_t monotonic) {
  if (monotonic == kNever) return absl::InfiniteFuture();
  return absl::Now() + absl::Nanoseconds(monotonic - MonotonicNanos());
}

// A counter that is cheap to read and good for "how long since", in ticks of no fixed length (about a nanosecond or
// less); different CPUs' counters agree closely enough for that.
inline uint64_t CycleCount() {
#if defined(__x86_64__)
  return __rdtsc();
#elif defined(__aarch64__)
  uint64_t count;
  asm volatile("mrs %0, cntvct_el0" : "=r"(count));
  return count;
#else
  return static_cast<uint64_t>(MonotonicNanos());
#endif
}

// About how often CycleCount counts in a span of time; on x86 a typical machine's rate is taken for all.
inline uint64_t CyclesIn(uint64_t nanos) {
#if defined(__x86_64__)
  return nanos * 2;
#elif defined(__aarch64__)
  uint64_t frequency;
  asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
  return nanos * (frequency / 1'000'000) / 1'000;
#else
  return nanos;
#endif
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_CLOCK_H_
