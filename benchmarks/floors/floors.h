#ifndef NEARCALL_BENCHMARKS_FLOORS_FLOORS_H_
#define NEARCALL_BENCHMARKS_FLOORS_FLOORS_H_

#include <memory>
#include <string>

#include "benchmarks/contestant.h"
#include "benchmarks/histogram.h"
#include "runtime/base/clock.h"

namespace nearcall::benchmarks {

// Descriptors that both processes of every contestant inherit.
inline constexpr int kControlFd = 3;  // to the program that compares
inline constexpr int kMemoryFd = 4;   // a page that both can map
inline constexpr int kPingFd = 5;     // an eventfd for the client to ring
inline constexpr int kPongFd = 6;     // and one for the server
inline constexpr int kInheritedFds = 7;

// The page behind kMemoryFd, mapped; zero at first, and whoever changes it leaves it so.
void* MapSharedPage();

std::unique_ptr<Floor> NewCacheLine();
std::unique_ptr<Floor> NewMessage();
std::unique_ptr<Floor> NewEventfd();
std::unique_ptr<Floor> NewEventfdByEpoll();
std::unique_ptr<Floor> NewMemcpy();
// A connection of its own, which each side blocks on or, with `spin`, tries again and again.
std::unique_ptr<Floor> NewUnixSocket(const std::string& path, bool server, bool spin);
std::unique_ptr<Floor> NewTcpSocket(const std::string& port, bool server, bool spin);

// Exchanges until the round is over, and counts; `exchange` is one round trip.
template <class Exchange>
Sample Repeat(const Round& round, Exchange exchange) {
  const int64_t begin = MonotonicNanos() + round.warm_us() * 1000;
  const int64_t end = begin + round.measure_us() * 1000;
  Histogram latency;
  int64_t calls = 0;
  int64_t counted = 0;
  int64_t now;
  do {
    exchange();
    ++calls;
    now = MonotonicNanos();
  } while (now < begin);
  do {
    exchange();
    const int64_t then = MonotonicNanos();
    latency.Record(then - now);
    ++counted;
    now = then;
  } while (now < end);
  Sample sample;
  latency.CopyTo(sample.mutable_latency());
  sample.set_calls(calls + counted);
  sample.set_counted(counted);
  sample.set_seconds(static_cast<double>(now - begin) / 1e9);
  return sample;
}

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_FLOORS_FLOORS_H_
