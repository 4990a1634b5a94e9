#ifndef NEARCALL_RUNTIME_STREAM_STREAM_WIRE_H_
#define NEARCALL_RUNTIME_STREAM_STREAM_WIRE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "runtime/base/fd.h"
#include "runtime/wire/wire.h"

namespace nearcall {

// A buffer between a byte stream and frames: bytes are added at the end and taken from the front. Small until it is
// needed.
//
// Threads: thread-compatible.
class ByteBuffer {
 public:
  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  uint8_t* begin() { return data_.get() + begin_; }
  uint8_t* end() { return data_.get() + end_; }
  size_t room() const { return capacity_ - end_; }

  // Makes room for `size` bytes at the end.
  void Reserve(size_t size);
  void Add(size_t size) { end_ += size; }
  void Take(size_t size) {
    begin_ += size;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Gives the memory back if it is empty and has grown.
  void Shrink();

 private:
  static constexpr size_t kInitialCapacity = 4096;

  std::unique_ptr<uint8_t[]> data_;
  size_t capacity_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// A Wire over a pair of byte streams, or over one that goes both ways: Unix and TCP sockets, pipes.
//
// Frames are written to a buffer and from there to the descriptor, as many as there are with one system call; likewise
// the other way round. Neither direction blocks.
//
// Threads, errors: see Wire.
class StreamWire {
 public:
  // `fd` is a connected socket, non-blocking; `what` names the peer in errors. `trusted` says that the payload is
  // private to us once it is read, which is so for every stream.
  StreamWire(Fd fd, std::string what) : fd_(std::move(fd)), what_(std::move(what)) {}

  uint32_t max_frame_size() const { return kMaxFrameSize; }
  uint32_t Reserve(size_t /*size*/) { return kMaxFrameSize; }
  uint8_t* Claim(size_t size);
  void Commit(size_t size) {
    const auto frame_size = static_cast<uint32_t>(size);
    std::memcpy(out_.end(), &frame_size, sizeof frame_size);
    out_.Add(size);
    sent_bytes_ += size;
  }
  bool Flush();
  void WantRoom(bool want) { wants_room_.store(want, std::memory_order_relaxed); }
  uint64_t sent_bytes() const { return sent_bytes_; }

  Received Receive(Frame* frame);
  void Release() { in_.Take(current_); }
  bool trusted() const { return true; }  // what was read is in our own memory

  // A descriptor that has something to read is ready at once: there is nothing to announce.
  bool PrepareSleep() {
    in_.Shrink();
    return true;
  }
  void FinishSleep(uint32_t /*ready*/) {}
  int watched_fds(WatchedFd* fds) const {
    fds[0] = WatchedFd{fd_.get(), false};
    return 1;
  }
  bool wants_write() const {
    return unflushed_.load(std::memory_order_relaxed) || wants_room_.load(std::memory_order_relaxed);
  }

  void Shutdown();
  absl::Status status() const { return status_; }
  // Whether the peer took what lies in the kernel's buffers cannot be known.
  bool PeerHasRead(uint64_t /*position*/) const { return true; }

 private:
  // Bytes that may wait for the descriptor before Claim refuses.
  static constexpr size_t kMaxUnflushed = 2 * kMaxFrameSize;
  static constexpr size_t kReadSize = 16 * 1024;

  Received ReadMore(bool* again);
  Received Fail(absl::Status status);

  const Fd fd_;
  const std::string what_;

  // Sending.
  ByteBuffer out_;
  uint64_t sent_bytes_ = 0;
  bool broken_ = false;  // nothing can be written any more
  // Written by the senders, read by the poller that decides what to watch; a change is followed by a wake-up. Relaxed.
  std::atomic<bool> unflushed_{false};
  std::atomic<bool> wants_room_{false};

  // Receiving.
  ByteBuffer in_;
  size_t current_ = 0;    // size of the frame that is out
  bool drained_ = false;  // the last read took all there was: the next look need not ask the kernel
  absl::Status status_;
};

static_assert(Wire<StreamWire>);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_STREAM_WIRE_H_
