#ifndef NEARCALL_RUNTIME_ENGINE_POLLABLE_H_
#define NEARCALL_RUNTIME_ENGINE_POLLABLE_H_

#include <cstdint>

#include "runtime/base/clock.h"
#include "runtime/wire/wire.h"

namespace nearcall {

// What one look at a Pollable came to.
enum class Polled : uint8_t {
  kIdle,      // nothing to do
  kProgress,  // something was done; look again soon
  kRoleLost,  // a handler ran for so long that another thread polls now: touch nothing of the reactor's any more
  kClosing,   // nothing will arrive any more, but it is still in use, until a Nudge: stop watching its descriptors
  kFinished,  // it will never have anything to do again: the reactor lets go of it
};

// Something that a Reactor looks after: a connection, a listener, a handshake. One virtual call a look, never one a
// frame.
//
// Threads: every function is called by the thread that holds the reactor's role of poller.
class Pollable {
 public:
  virtual ~Pollable() = default;

  // Does what can be done without blocking, up to a fair amount.
  virtual Polled Poll() = 0;

  // The contract of Wire's functions of the same names; FinishSleep also tells a Pollable that is awake that some of
  // its descriptors are ready.
  virtual bool PrepareSleep() = 0;
  virtual void FinishSleep(uint32_t ready) = 0;
  virtual int watched_fds(WatchedFd* fds) const = 0;
  virtual bool wants_write() const { return false; }

  // Whether looking again and again is cheap enough to spin on. Otherwise it is looked at when a descriptor is ready.
  virtual bool worth_spinning() const { return true; }

  // When Poll is to be called though no descriptor is ready (monotonic nanoseconds). Asked when
  // the Pollable goes to sleep, and when the time has come.
  virtual int64_t next_deadline() const { return kNever; }

 private:
  friend class Reactor;
  // The reactor's bookkeeping.
  bool active_ = false;        // looked at on every pass; otherwise asleep and watched by its descriptors
  bool spins_ = true;          // worth_spinning(), asked once
  bool is_socket_ = false;     // it tells epoll of each message, and each look is a system call; asked once
  bool watched_ = true;        // its descriptors are in the epoll set
  bool fully_watched_ = true;  // otherwise the kernel had no memory for that: to be tried again
  bool write_watched_ = false;
  bool muted_ = false;     // in the epoll set, but without events
  bool left_out_ = false;  // of the epoll set, until it goes to sleep
  uint32_t idle_passes_ = 0;
  uint32_t busy_passes_ = 0;  // since it was put to sleep
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_POLLABLE_H_
