#ifndef NEARCALL_RUNTIME_TRANSPORTS_INPROC_INPROC_WIRE_H_
#define NEARCALL_RUNTIME_TRANSPORTS_INPROC_INPROC_WIRE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/fd.h"
#include "runtime/wire/wire.h"

namespace nearcall {

// A Wire inside one process: a queue of frames under a lock in each direction. It is the reference: everything that the
// contract of Wire asks for is here in its plainest form, so whoever writes a transport may start from this one.
//
// Threads, errors: see Wire.
class InprocWire {
 public:
  // Two ends of one connection.
  static std::pair<std::unique_ptr<InprocWire>, std::unique_ptr<InprocWire>> MakePair();
  ~InprocWire() { Shutdown(); }

  uint32_t max_frame_size() const { return kMaxFrameSize; }
  uint32_t Reserve(size_t /*size*/) { return kMaxFrameSize; }
  uint8_t* Claim(size_t size);
  void Commit(size_t size);
  bool Flush();
  void WantRoom(bool want);
  uint64_t sent_bytes() const { return sent_bytes_; }
  bool passes_fds() const { return false; }
  bool ReadyForFd() { return false; }
  void AttachFd(const internal::SharedFd& /*fd*/) {}
  ReceivedFd TakeFd() { return {}; }
  bool OnFdPassing(FdPassing) { return false; }

  Received Receive(Frame* frame);
  void Release() {}
  static constexpr bool kDearLook = false;
  bool trusted() const { return true; }

  bool PrepareSleep();
  void FinishSleep(uint32_t ready);
  int watched_fds(WatchedFd* fds) const {
    fds[0] = WatchedFd{in_->reader_bell.get(), /*edge_triggered=*/true};
    return 1;
  }
  bool wants_write() const { return false; }  // room is announced by the doorbell, too

  void Shutdown();
  absl::Status status() const;
  static constexpr bool kTellsWhatWasRead = true;
  bool PeerHasRead(uint64_t position) const;

 private:
  // One direction. The reader sleeps on a doorbell; the writer, which is a reader of the other direction, on its own.
  struct Queue {
    Queue();
    mutable internal::Mutex mu;
    std::deque<std::string> frames ABSL_GUARDED_BY(mu);
    // Whether there may be something to receive, so that a poller that spins leaves the lock to the writer. Relaxed:
    // what it announces is looked at under the lock, and PrepareSleep looks there, too.
    std::atomic<bool> worth_a_look{false};
    size_t bytes ABSL_GUARDED_BY(mu) = 0;         // in `frames`
    uint64_t read_bytes ABSL_GUARDED_BY(mu) = 0;  // ever
    bool closed ABSL_GUARDED_BY(mu) = false;
    bool reader_sleeps ABSL_GUARDED_BY(mu) = false;
    bool writer_wants_room ABSL_GUARDED_BY(mu) = false;
    Fd reader_bell;
  };
  static constexpr size_t kCapacity = 4 * kMaxFrameSize;

  InprocWire(std::shared_ptr<Queue> in, std::shared_ptr<Queue> out) : in_(std::move(in)), out_(std::move(out)) {}
  static void Ring(const Queue& queue);

  const std::shared_ptr<Queue> in_;
  const std::shared_ptr<Queue> out_;
  std::string claimed_;
  uint64_t sent_bytes_ = 0;
  std::string current_;  // the frame that Receive gave out
  absl::Status status_;  // of a violation
};

static_assert(Wire<InprocWire>);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_TRANSPORTS_INPROC_INPROC_WIRE_H_
