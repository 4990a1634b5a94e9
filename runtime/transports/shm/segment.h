#ifndef NEARCALL_RUNTIME_TRANSPORTS_SHM_SEGMENT_H_
#define NEARCALL_RUNTIME_TRANSPORTS_SHM_SEGMENT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/base/cpu.h"
#include "runtime/base/fd.h"

namespace nearcall {

// The first page of a segment: what its owner tells the peer beside the frames. Each word has a cache line of its own:
// the owner writes them at different times, and the peer looks at them at different times.
//
//   0                64                128              192
//   | read_position | sleep_epoch     | wants_room     |
struct SegmentControl {
  // How many bytes of the *peer's* ring the owner has read and will not look at again.
  alignas(kCacheLine) std::atomic<uint64_t> read_position;
  // Odd while the owner sleeps on its doorbell; a new value for each sleep.
  alignas(kCacheLine) std::atomic<uint32_t> sleep_epoch;
  // Not 0 while the owner waits for room in its own ring.
  alignas(kCacheLine) std::atomic<uint32_t> wants_room;
};
static_assert(offsetof(SegmentControl, sleep_epoch) == 64 && offsetof(SegmentControl, wants_room) == 128);
static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));

// One side's shared memory: a page of control words, a ring of frames, and an area for the frames that the ring is too
// small for, in a memfd. Its owner alone can write it: the memfd is sealed against growing, shrinking and new writable
// mappings before anybody else sees it, so the peer can neither change it nor make us fault. The ring is mapped twice,
// back to back, so that every frame is contiguous:
//
//   | control (one page) | ring | the same ring again | bulk |
//
// The bulk area is address space alone until Populate gives it memory.
//
// Threads: thread-compatible; what lies inside has rules of its own (ShmWire).
class Segment {
 public:
  static constexpr size_t kControlSize = 4096;
  // A ring is a power of two, from kMinRing to kMaxRing bytes.
  static constexpr size_t kMinRing = 16 * 1024;
  static constexpr size_t kMaxRing = 64 * 1024 * 1024;
  // A bulk area is an even number of rings; 0 is one. So the lowest bit of their common size tells the ring's.
  static constexpr size_t kMaxBulk = 64 * 1024 * 1024;

  // Makes a segment of our own, mapped for writing, and sealed; the memory of control words and ring is allocated.
  // RESOURCE_EXHAUSTED when there is none.
  static absl::StatusOr<Segment> Create(size_t ring_size, size_t bulk_size = 0);
  // Maps a peer's segment for reading. INVALID_ARGUMENT when it is anything but a properly sealed memfd of a proper
  // size.
  static absl::StatusOr<Segment> Open(Fd fd);

  Segment(Segment&& other) noexcept;
  Segment& operator=(Segment&&) = delete;
  ~Segment();

  int fd() const { return fd_.get(); }
  // Gives the descriptor up; the mapping stays.
  Fd TakeFd() { return std::move(fd_); }
  size_t ring_size() const { return ring_size_; }
  uint8_t* ring() const { return base_ + kControlSize; }
  size_t bulk_size() const { return bulk_size_; }
  uint8_t* bulk() const { return ring() + 2 * ring_size_; }
  // Makes sure that there is memory behind these bytes of the bulk area, so that to touch them is no fault: to be
  // called before they are written, or read. False when there is none, or the kernel cannot say (before Linux 5.14).
  // What was populated once stays so.
  bool Populate(size_t begin, size_t end) const;
  SegmentControl* control() const { return reinterpret_cast<SegmentControl*>(base_); }

 private:
  Segment(Fd fd, uint8_t* base, size_t ring_size, size_t bulk_size, bool writable)
      : fd_(std::move(fd)), base_(base), ring_size_(ring_size), bulk_size_(bulk_size), writable_(writable) {}
  static absl::StatusOr<Segment> Map(Fd fd, size_t ring_size, size_t bulk_size, bool writable);
  size_t mapped_size() const { return kControlSize + 2 * ring_size_ + bulk_size_; }

  Fd fd_;
  uint8_t* base_;
  size_t ring_size_;
  size_t bulk_size_;
  bool writable_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_TRANSPORTS_SHM_SEGMENT_H_
