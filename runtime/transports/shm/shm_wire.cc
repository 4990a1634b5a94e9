#include "runtime/transports/shm/shm_wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/fd_passing.h"
#include "runtime/base/step.h"

namespace nearcall {
namespace {

// What memory a bulk area gets is a multiple of this.
constexpr size_t kBulkStep = 128 * 1024;

// Two frames fit any ring, whatever their positions: the writer of one need not wait for the reader of the other.
uint32_t MaxInRing(size_t ring_size) {
  return static_cast<uint32_t>(std::min<size_t>(ring_size / 2 - 64, kMaxFrameSize));
}
// Likewise for frames in the bulk area, with which most of them begin at its front.
uint32_t MaxInBulk(size_t bulk_size) { return static_cast<uint32_t>(bulk_size / 2); }

}  // namespace

ShmWire::ShmWire(Parts parts)
    : out_ring_(parts.own.ring()),
      out_mask_(parts.own.ring_size() - 1),
      ring_size_(parts.own.ring_size()),
      max_in_ring_(MaxInRing(parts.own.ring_size())),
      max_send_(max_in_ring_),
      peer_control_(parts.peer.control()),
      in_ring_(parts.peer.ring()),
      in_mask_(parts.peer.ring_size() - 1),
      max_receive_(MaxInRing(parts.peer.ring_size())),
      announce_every_(parts.peer.ring_size() / 4),
      announce_at_(announce_every_),
      own_control_(parts.own.control()),
      trusted_(parts.trusted),
      own_(std::move(parts.own)),
      peer_(std::move(parts.peer)),
      ringer_(std::move(parts.ringer)),
      doorbell_(std::move(parts.doorbell)),
      socket_(std::move(parts.socket)),
      what_(std::move(parts.what)) {}

bool ShmWire::LookForRoom(size_t size) {
  // Pairs with the exchange in Announce.
  const uint64_t position = peer_control_->read_position.load(std::memory_order_seq_cst);
  if (position < seen_read_position_ || position > tail_) {
    violated_.store(true, std::memory_order_relaxed);
    Shutdown();
    return false;
  }
  seen_read_position_ = position;
  looked_at_.store(position, std::memory_order_relaxed);
  return tail_ + Stride(size) + kWord - position <= ring_size_;
}

void ShmWire::ClearWord(uint64_t position) {
  NEARCALL_STEP("shm.commit.clear");
  WordAt(out_ring_ + (position & out_mask_)).store(0, std::memory_order_relaxed);
  cleared_ = position + kWord;
}

uint32_t ShmWire::Reserve(size_t size) {
  size = std::min<size_t>(size, MaxInBulk(own_.bulk_size()));
  if (size <= max_frame_size()) return max_frame_size();
  const size_t capacity = std::min((2 * size + kBulkStep - 1) / kBulkStep * kBulkStep, own_.bulk_size());
  NEARCALL_STEP("shm.bulk.grow");
  // Without memory there are smaller frames, and more of them.
  if (own_.Populate(bulk_space_.capacity(), capacity)) {
    bulk_space_.set_capacity(capacity);
    max_send_.store(MaxInBulk(capacity), std::memory_order_relaxed);
  }
  return max_frame_size();
}

uint8_t* ShmWire::ClaimBulk(size_t size) {
  if (!HasRoomInRing(kBulkRecord)) return nullptr;
  bulk_space_.Free(seen_read_position_);
  claimed_bulk_ = bulk_space_.Find(size);
  if (claimed_bulk_ == BulkSpace::kNoRoom) {
    if (!LookForRoom(kBulkRecord)) return nullptr;
    bulk_space_.Free(seen_read_position_);
    claimed_bulk_ = bulk_space_.Find(size);
    if (claimed_bulk_ == BulkSpace::kNoRoom) return nullptr;
  }
  NEARCALL_STEP("shm.bulk.claimed");
  return own_.bulk() + claimed_bulk_;
}

void ShmWire::CommitBulk(size_t size) {
  WordAt(out_ring_ + (tail_ & out_mask_) + 4).store(static_cast<uint32_t>(claimed_bulk_), std::memory_order_relaxed);
  NEARCALL_STEP("shm.bulk.commit");
  Publish(static_cast<uint32_t>(size) | kInBulk, kBulkRecord);
  NEARCALL_STEP("shm.bulk.committed");
  bulk_space_.Take(claimed_bulk_, size, tail_);
}

Received ShmWire::ReceiveBulk(uint32_t size, Frame* frame) {
  const uint32_t at = WordAt(in_ring_ + (head_ & in_mask_) + 4).load(std::memory_order_relaxed);
  const size_t bulk_size = peer_.bulk_size();
  if (size < kHeaderSize || size > MaxInBulk(bulk_size) || at > bulk_size - size || at % BulkSpace::kAlignment != 0) {
    return Violation("a frame that lies outside of its memory");
  }
  NEARCALL_STEP("shm.bulk.receive");
  if (at + size > populated_) {
    if (!peer_.Populate(populated_, at + size)) return Violation("a frame where there is no memory");
    populated_ = at + size;
  }
  // Copied once, like the record; from here on only the copy is looked at.
  frame->header = LoadHeader(peer_.bulk() + at);
  frame->header.size = size;
  if (const FrameError error = ValidateHeader(frame->header, size); error != FrameError::kNone) {
    return Violation(FrameErrorText(error));
  }
  frame->payload = peer_.bulk() + at + kHeaderSize;
  current_ = Stride(kBulkRecord);
  announce_at_ = 0;  // its writer may wait for room of another kind than what the ring's positions tell
  return Received::kFrame;
}

void ShmWire::RingFor(uint32_t epoch) {
  NEARCALL_STEP("shm.ring");
  if (rung_.exchange(epoch, std::memory_order_relaxed) != epoch) ringer_.Ring();
  NEARCALL_STEP("shm.rung");
}

void ShmWire::Announce() {
  NEARCALL_STEP("shm.announce");
  announce_at_ = head_ + announce_every_;
  own_control_->read_position.exchange(head_, std::memory_order_seq_cst);      // pairs with LookForRoom
  if (peer_control_->wants_room.load(std::memory_order_seq_cst) == 0) return;  // pairs with WantRoom
  // A peer that is awake looks for room itself.
  const uint32_t epoch = peer_control_->sleep_epoch.load(std::memory_order_seq_cst);
  if ((epoch & 1) != 0) RingFor(epoch);
}

Received ShmWire::AfterTheEnd() {
  // The word once more: what was published before the end is still delivered.
  if (WordAt(in_ring_ + (head_ & in_mask_)).load(std::memory_order_acquire) != 0 && peer_gone_) {
    return Received::kNothing;  // the next look finds it
  }
  if (violated_.load(std::memory_order_relaxed)) return Violation("a read position where nothing was written");
  if (status_.ok()) {
    status_ = absl::UnavailableError(peer_gone_ ? absl::StrCat("the process behind ", what_, " is gone")
                                                : absl::StrCat("the connection to ", what_, " was closed"));
  }
  return Received::kClosed;
}

Received ShmWire::Violation(const char* what) {
  if (status_.ok()) status_ = absl::InternalError(absl::StrCat(what_, " sent ", what));
  shut_down_.store(true, std::memory_order_relaxed);
  return Received::kClosed;
}

bool ShmWire::PrepareSleep() {
  if (announce_at_ != head_ + announce_every_) Announce();
  if (++sleeps_ >= kSleepsPerSilence) {
    doorbell_.Silence();  // before the announcement below: what rings after it stays
    sleeps_ = 0;
  }
  ++epoch_;
  if ((epoch_ & 1) == 0) ++epoch_;
  own_control_->sleep_epoch.exchange(epoch_, std::memory_order_seq_cst);  // pairs with Flush and Announce
  NEARCALL_STEP("shm.sleep.announced");
  if (WordAt(in_ring_ + (head_ & in_mask_)).load(std::memory_order_seq_cst) != 0) return false;  // pairs with Commit
  if (has_ended()) return false;
  // Whoever waits for room has looked before; if the peer has moved on since, there may be some.
  return !wants_room_.load(std::memory_order_relaxed) ||
         peer_control_->read_position.load(std::memory_order_seq_cst) == looked_at_.load(std::memory_order_relaxed);
}

void ShmWire::FinishSleep(uint32_t ready) {
  NEARCALL_STEP("shm.sleep.over");
  if ((epoch_ & 1) != 0) own_control_->sleep_epoch.store(++epoch_, std::memory_order_release);
  if ((ready & (1u << kSocketFd)) != 0) CheckSocket();
}

void ShmWire::CheckSocket() {
  // What lies there to be read says nothing: descriptors come before the frames that they go with.
  pollfd socket{socket_.get(), POLLRDHUP, 0};
  if (poll(&socket, 1, 0) > 0) peer_gone_ = true;
}

bool ShmWire::ReadyForFd() {
  pollfd socket{socket_.get(), POLLOUT, 0};
  // A socket that is closed, too: the frame goes nowhere then.
  return poll(&socket, 1, 0) > 0;
}

void ShmWire::AttachFd(const internal::SharedFd& fd) {
  NEARCALL_STEP("shm.fd.send");
  // Without one the peer would take the next frame's descriptor for this one's: better no connection at all.
  const int raw_fd = fd.get();
  if (SendBytesAndFds(socket_.get(), "", 1, &raw_fd, 1) != 1) Shutdown();
  NEARCALL_STEP("shm.fd.sent");
}

ReceivedFd ShmWire::TakeFd() {
  announce_at_ = 0;  // the writer may wait for room in the socket, which the ring's positions do not tell
  char byte;
  std::vector<Fd> fds;
  bool truncated = false;
  if (ReceiveBytesAndFds(socket_.get(), &byte, 1, 1, &fds, &truncated) != 1) return {};
  if (fds.empty()) return {Fd(), truncated};
  return {std::move(fds.front()), false};
}

void ShmWire::Shutdown() {
  shut_down_.store(true, std::memory_order_relaxed);
  shutdown(socket_.get(), SHUT_RDWR);  // wakes both sides' pollers
}

}  // namespace nearcall
