#ifndef NEARCALL_RUNTIME_STREAM_STREAM_WIRE_H_
#define NEARCALL_RUNTIME_STREAM_STREAM_WIRE_H_

#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

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
  // `fd` is a connected socket, non-blocking; `what` names the peer in errors. A Unix socket passes descriptors.
  StreamWire(Fd fd, std::string what);

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

  bool passes_fds() const { return passes_fds_; }
  // It goes with the first byte that is written after it: nothing may be left from before. The peer must expect it, and
  // is asked when the first one is to go.
  bool ReadyForFd();
  void AttachFd(const internal::SharedFd& fd) { out_fd_ = fd; }
  ReceivedFd TakeFd();
  bool OnFdPassing(FdPassing passing);

  Received Receive(Frame* frame);
  void Release() { in_.Take(current_); }
  static constexpr bool kDearLook = false;
  bool trusted() const { return true; }  // what was read is in our own memory

  // A descriptor that has something to read is ready at once: there is nothing to announce. What has been read is not
  // told of by any descriptor.
  bool PrepareSleep() {
    in_.Shrink();
    return in_.size() < kHeaderSize || in_.size() < LoadHeader(in_.begin()).size;
  }
  void FinishSleep(uint32_t /*ready*/) {}
  int watched_fds(WatchedFd* fds) const {
    fds[0] = WatchedFd{fd_.get(), false};
    return 1;
  }
  bool wants_write() const {
    // What waits for the peer's answer does not wait for the socket.
    return unflushed_.load(std::memory_order_relaxed) ||
           (wants_room_.load(std::memory_order_relaxed) && !AwaitsAnswer());
  }

  void Shutdown();
  absl::Status status() const { return status_; }
  static constexpr bool kTellsWhatWasRead = false;
  // Whether the peer took what lies in the kernel's buffers cannot be known.
  bool PeerHasRead(uint64_t /*position*/) const { return true; }

 private:
  // Bytes that may wait for the descriptor before Claim refuses.
  static constexpr size_t kMaxUnflushed = 2 * kMaxFrameSize;
  static constexpr size_t kReadSize = 16 * 1024;

  // Whether the peer expects descriptors.
  enum class Asked : uint8_t { kNo, kYes, kAnswered };
  bool AwaitsAnswer() const { return asked_.load(std::memory_order_relaxed) == Asked::kYes; }

  ssize_t Read(uint8_t* to, size_t room);
  ssize_t Write(const uint8_t* bytes, size_t size);
  Received ReadMore(bool* again);
  Received Fail(absl::Status status);

  // Descriptors that may have come before the frames that ask for them; those of a peer that keeps to the rules come
  // one at a time.
  static constexpr size_t kMaxWaitingFds = 4;

  const Fd fd_;
  const std::string what_;
  const bool passes_fds_;

  // Sending.
  ByteBuffer out_;
  internal::SharedFd out_fd_;  // goes with the first byte in it
  uint64_t sent_bytes_ = 0;
  bool broken_ = false;  // nothing can be written any more
  // Written by the senders, read by the poller that decides what to watch; a change is followed by a wake-up. Relaxed.
  std::atomic<bool> unflushed_{false};
  std::atomic<bool> wants_room_{false};
  // To kYes by a sender, to kAnswered by the poller. Relaxed: says nothing but itself.
  std::atomic<Asked> asked_{Asked::kNo};

  // Receiving.
  ByteBuffer in_;
  bool expects_fds_ = false;        // the peer has asked
  std::vector<ReceivedFd> in_fds_;  // not taken yet; the first came first
  size_t current_ = 0;              // size of the frame that is out
  bool drained_ = false;            // the last read took all there was: the next look need not ask the kernel
  absl::Status status_;
};

static_assert(Wire<StreamWire>);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_STREAM_WIRE_H_
