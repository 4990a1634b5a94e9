#ifndef NEARCALL_RUNTIME_ENGINE_PING_STRIKES_H_
#define NEARCALL_RUNTIME_ENGINE_PING_STRIKES_H_

#include <cstdint>

namespace nearcall {

// Counts a peer's pings: each takes an answer, and nobody needs more than a few.
//
// Threads: the poller's.
class PingStrikes {
 public:
  // Of a peer, in one second; one more ends its connection.
  static constexpr int kMaxPings = 1000;

  // A ping has come at `now` (MonotonicNanos). False: that is one too many.
  bool Allow(int64_t now) {
    constexpr int64_t kSecond = 1'000'000'000;
    if (now - since_ >= kSecond) {
      since_ = now;
      pings_ = 0;
    }
    return ++pings_ <= kMaxPings;
  }

 private:
  int64_t since_ = INT64_MIN / 2;
  int pings_ = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_PING_STRIKES_H_
