#ifndef NEARCALL_RUNTIME_ENGINE_PING_STRIKES_H_
#define NEARCALL_RUNTIME_ENGINE_PING_STRIKES_H_

#include <cstdint>

#include "runtime/base/clock.h"
#include "runtime/engine/sender.h"
#include "runtime/wire/frame.h"

namespace nearcall {

// Answers a peer's pings, and counts them: nobody needs more than a few.
//
// Threads: the poller's.
class PingStrikes {
 public:
  // Of a peer, in one second; one more ends its connection.
  static constexpr int kMaxPings = 1000;

  // A ping has come. False: that is one too many, or the peer does not read its answers; the connection is to be
  // closed.
  template <Wire W>
  bool Answer(const Frame& ping, Sender<W>* sender) {
    if (!Allow(MonotonicNanos())) return false;
    FrameHeader pong{};
    pong.kind = static_cast<uint8_t>(FrameKind::kPong);
    return sender->SendNow(pong, ping.payload, ping.payload_size());
  }

  // The counting alone: a ping has come at `now` (MonotonicNanos).
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
