#ifndef NEARCALL_RUNTIME_TRANSPORTS_SHM_DOORBELL_H_
#define NEARCALL_RUNTIME_TRANSPORTS_SHM_DOORBELL_H_

#include <utility>

#include "absl/status/statusor.h"
#include "runtime/base/fd.h"

namespace nearcall {

// What a sleeping side is woken by: a pipe. The sleeper makes it, keeps the reading end, and gives the writing end
// away.
//
// A pipe and not an eventfd because of what a hostile peer could do: whether a write blocks is a property of the open
// file, which the peer shares; it could fill the bell, make it blocking, and so stop whoever rings it. A pipe can be
// opened anew
// (/proc/self/fd), and then the property is the ringer's own. It costs the same (docs/adr/0002-doorbell.md).

// The sleeper's side. Threads: thread-compatible.
class Doorbell {
 public:
  static absl::StatusOr<Doorbell> Create();

  int fd() const { return reading_.get(); }
  // The end to give away.
  int ringer_fd() const { return writing_.get(); }
  Fd TakeRinger() { return std::move(writing_); }
  // Takes back all rings so far.
  void Silence();

 private:
  Doorbell(Fd reading, Fd writing) : reading_(std::move(reading)), writing_(std::move(writing)) {}
  Fd reading_;
  Fd writing_;
};

// The other side's. Threads: thread-safe.
class Ringer {
 public:
  // Takes the end that a peer has given. INVALID_ARGUMENT when it is not an end of a pipe.
  static absl::StatusOr<Ringer> Open(Fd fd);

  // Never blocks. A bell that is full is one that its owner has not emptied for 64 Ki rings.
  void Ring() const;

 private:
  explicit Ringer(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_TRANSPORTS_SHM_DOORBELL_H_
