#ifndef NEARCALL_RUNTIME_TRANSPORTS_SHM_SHM_WIRE_H_
#define NEARCALL_RUNTIME_TRANSPORTS_SHM_SHM_WIRE_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "runtime/base/fd.h"
#include "runtime/base/step.h"
#include "runtime/transports/shm/bulk_space.h"
#include "runtime/transports/shm/doorbell.h"
#include "runtime/transports/shm/segment.h"
#include "runtime/wire/wire.h"

namespace nearcall {

// A Wire over two rings in shared memory, one in each direction; docs/SHM.md draws them.
//
// A frame is published by its first word, its size: the writer writes the frame, sees to it that the word behind it is
// 0, and then stores the size. The reader polls that word alone, so a small frame costs one transfer of its cache
// lines. Where the two sides take turns the writer clears a few lines ahead after each frame, when nobody waits for
// it: the next frame finds zeros behind it, and its lines in the writer's cache. Where the reader stands is a word in
// the reader's own segment; the writer keeps a copy of it and looks anew only when the ring seems full.
//
// A frame that is too large for the ring lies in the segment's bulk area, in one piece, and a record in the ring says
// where. The area has no memory until the first such frame, and gets more as larger ones come (Reserve).
//
// Two protocols between the sides, each of the form "I write mine, then read yours", so that one of the two always sees
// the other (sequentially consistent operations on both words):
//   sleeping   reader: sleep_epoch := odd, read the frame's word;   writer: write the frame's word, read sleep_epoch
//   room       writer: wants_room := 1, read read_position;          reader: write read_position, read wants_room
//
// The socket of the handshake stays open: its end of file is how the peer's death is noticed. Descriptors are sent over
// it, each with a byte of its own, before the frames that they go with; nothing else is.
//
// Nothing in the peer's segment is trusted: a size is loaded once and checked against our own limits, a position
// against how far we have written. A peer that breaks a rule loses the connection.
//
// Threads, errors: see Wire.
class ShmWire {
 public:
  struct Parts {
    Fd socket;
    Segment own;        // we write it
    Segment peer;       // the peer does
    Doorbell doorbell;  // we sleep on it
    Ringer ringer;      // wakes the peer
    bool trusted;       // the peer is the same user: its messages may be parsed where they lie
    std::string what;   // the peer, in errors
  };
  explicit ShmWire(Parts parts);

  uint32_t max_frame_size() const { return max_send_.load(std::memory_order_relaxed); }
  uint32_t Reserve(size_t size);

  uint8_t* Claim(size_t size) {
    if (size > max_in_ring_) return ClaimBulk(size);
    if (!HasRoomInRing(size)) return nullptr;
    written_ = std::max(written_, tail_ + size);
    return out_ring_ + (tail_ & out_mask_);
  }

  void Commit(size_t size) {
    if (size > max_in_ring_) return CommitBulk(size);
    Publish(static_cast<uint32_t>(size), size);
  }

  bool Flush() {
    // Pairs with the exchange in PrepareSleep.
    const uint32_t epoch = peer_control_->sleep_epoch.load(std::memory_order_seq_cst);
    if ((epoch & 1) != 0) RingFor(epoch);
    ClearAhead();
    return true;
  }

  void WantRoom(bool want) {
    NEARCALL_STEP("shm.want_room");
    wants_room_.store(want, std::memory_order_relaxed);
    // Pairs with the load in Announce.
    own_control_->wants_room.exchange(want ? 1 : 0, std::memory_order_seq_cst);
  }

  uint64_t sent_bytes() const { return tail_; }

  bool passes_fds() const { return true; }
  bool ReadyForFd();
  void AttachFd(const internal::SharedFd& fd);
  ReceivedFd TakeFd();
  bool OnFdPassing(FdPassing) { return false; }  // the socket is for them alone: nobody need ask

  Received Receive(Frame* frame) {
    uint8_t* const at = in_ring_ + (head_ & in_mask_);
    const uint32_t size = WordAt(at).load(std::memory_order_acquire);  // pairs with Commit
    if (size == 0) return has_ended() ? AfterTheEnd() : Received::kNothing;
    if ((size & kInBulk) != 0) return ReceiveBulk(size & ~kInBulk, frame);
    NEARCALL_STEP("shm.receive.frame");
    // The second line, on its way from the writer's CPU while the first is looked at; those behind it the CPU expects.
    if (size > kAlignment) __builtin_prefetch(at + kAlignment);
    // Copied once; from here on only the copy is looked at.
    frame->header = LoadHeader(at);
    frame->header.size = size;
    if (const FrameError error = ValidateHeader(frame->header, max_receive_); error != FrameError::kNone) {
      return Violation(FrameErrorText(error));
    }
    frame->payload = at + kHeaderSize;
    current_ = Stride(size);
    return Received::kFrame;
  }

  void Release() {
    NEARCALL_STEP("shm.release");
    head_ += current_;
    own_control_->read_position.store(head_, std::memory_order_release);
    NEARCALL_STEP("shm.released");
    if (head_ >= announce_at_) Announce();
  }

  static constexpr bool kDearLook = true;
  bool trusted() const { return trusted_; }

  bool PrepareSleep();
  void FinishSleep(uint32_t ready);
  int watched_fds(WatchedFd* fds) const {
    fds[kDoorbellFd] = WatchedFd{doorbell_.fd(), /*edge_triggered=*/true};
    // Descriptors wait there unread until a frame asks for them.
    fds[kSocketFd] = WatchedFd{socket_.get(), /*edge_triggered=*/true};
    return 2;
  }
  bool wants_write() const { return false; }

  void Shutdown();
  absl::Status status() const { return status_; }
  static constexpr bool kTellsWhatWasRead = true;
  bool PeerHasRead(uint64_t position) const {
    return peer_control_->read_position.load(std::memory_order_acquire) >= position;
  }

 private:
  enum : int { kDoorbellFd, kSocketFd };
  // A frame begins a cache line, so that it lies in as few of them as it can, and none is two frames'.
  static constexpr uint64_t kAlignment = 64;
  // Each ring is an event of its own, so the doorbell need not be emptied each time: only long before it is full.
  static constexpr uint32_t kSleepsPerSilence = 256;
  // What Commit clears behind a frame.
  static constexpr uint64_t kWord = 8;
  // One more frame like the last one and the word behind it, so that its lines are the writer's when it comes; within
  // these.
  static constexpr uint64_t kLeastClearAhead = 256;
  static constexpr uint64_t kMostClearAhead = 4096 + 64;
  // In the first word of a record: the frame lies in the bulk area, where the second word says.
  static constexpr uint32_t kInBulk = 1u << 31;
  static constexpr size_t kBulkRecord = 8;
  static uint64_t Stride(size_t size) { return (size + kAlignment - 1) & ~(kAlignment - 1); }
  static std::atomic<uint32_t>& WordAt(uint8_t* at) { return *reinterpret_cast<std::atomic<uint32_t>*>(at); }

  bool HasRoomInRing(size_t size) {
    return tail_ + Stride(size) + kWord - seen_read_position_ <= ring_size_ || LookForRoom(size);
  }
  bool LookForRoom(size_t size);
  // Publishes a record of `size` bytes, whose first word is `word`.
  void Publish(uint32_t word, size_t size) {
    const uint64_t position = tail_;
    const uint64_t next = position + Stride(size);
    if (next + kWord > cleared_ || next < written_) ClearWord(next);
    stride_ = next - position;
    NEARCALL_STEP("shm.commit.publish");
    // Pairs with the loads in Receive and PrepareSleep.
    WordAt(out_ring_ + (position & out_mask_)).exchange(word, std::memory_order_seq_cst);
    NEARCALL_STEP("shm.commit.published");
    tail_ = next;
  }
  // The reader will look there next: it must find no frame. Ordered before the frame by the exchange in Publish.
  void ClearWord(uint64_t position);
  // As far as the reader has been. Only in a conversation, where something has come since the last time: whoever sends
  // one frame after the other would wait for each line twice.
  void ClearAhead() {
    const uint64_t received = own_control_->read_position.load(std::memory_order_relaxed);
    if (std::exchange(received_before_, received) == received) return;
    const uint64_t end = tail_ + std::clamp(stride_ + kWord, kLeastClearAhead, kMostClearAhead);
    if (end <= cleared_ || end - seen_read_position_ > ring_size_) return;
    std::memset(out_ring_ + (cleared_ & out_mask_), 0, end - cleared_);
    cleared_ = end;
  }
  uint8_t* ClaimBulk(size_t size);
  void CommitBulk(size_t size);
  Received ReceiveBulk(uint32_t size, Frame* frame);
  void RingFor(uint32_t epoch);
  // The reader makes sure that the writer knows where it stands, and wakes it if it sleeps until there is room.
  void Announce();
  bool has_ended() const { return shut_down_.load(std::memory_order_relaxed) || peer_gone_; }
  Received AfterTheEnd();
  Received Violation(const char* what);
  void CheckSocket();

  // Sending; under the send lock.
  alignas(kCacheLine) uint8_t* const out_ring_;
  const uint64_t out_mask_;
  const uint64_t ring_size_;
  const uint32_t max_in_ring_;
  std::atomic<uint32_t> max_send_;   // relaxed: who needs more asks under the lock
  uint64_t tail_ = 0;                // bytes ever written
  uint64_t stride_ = 0;              // of the last frame
  uint64_t cleared_ = 0;             // from tail_ to here are zeros, but for what was written into a Claim
  uint64_t written_ = 0;             // where the last Claim, committed or not, ended
  uint64_t received_before_ = 0;     // what we had read when ClearAhead was last called
  uint64_t seen_read_position_ = 0;  // the peer's position when we last looked
  SegmentControl* const peer_control_;
  BulkSpace bulk_space_;
  size_t claimed_bulk_ = 0;  // where the last ClaimBulk found room

  // Receiving; the poller.
  alignas(kCacheLine) uint8_t* const in_ring_;
  const uint64_t in_mask_;
  const uint32_t max_receive_;
  // Bytes after which the reader makes sure that a writer that waits for room hears of it: a quarter of the ring. A
  // writer waits while more than half of the ring is unread, so the reader comes by here at least once before it has
  // read that, and the last time it does, three quarters are free, which is more than any frame needs. What lay in the
  // bulk area is announced at once.
  const uint64_t announce_every_;
  uint64_t announce_at_;
  uint64_t head_ = 0;  // bytes ever read
  uint64_t current_ = 0;
  size_t populated_ = 0;  // of the peer's bulk area: there is memory behind so much of it
  SegmentControl* const own_control_;
  const bool trusted_;
  bool peer_gone_ = false;
  uint32_t epoch_ = 0;
  uint32_t sleeps_ = 0;  // since the doorbell was emptied; there is at most one ring for each
  absl::Status status_;

  // The epoch that was rung for, so that one sleep takes one ring. Both groups ring; a lost update is a ring too many.
  std::atomic<uint32_t> rung_{0};
  std::atomic<bool> shut_down_{false};
  std::atomic<bool> wants_room_{false};
  // seen_read_position_, for the poller that is about to sleep while a sender waits for room.
  std::atomic<uint64_t> looked_at_{0};
  // Set by a sender that found an impossible position; read by the poller.
  std::atomic<bool> violated_{false};

  const Segment own_;
  const Segment peer_;
  const Ringer ringer_;
  Doorbell doorbell_;
  const Fd socket_;
  const std::string what_;
};

static_assert(Wire<ShmWire>);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_TRANSPORTS_SHM_SHM_WIRE_H_
