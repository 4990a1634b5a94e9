#ifndef NEARCALL_RUNTIME_TRANSPORTS_SHM_BULK_SPACE_H_
#define NEARCALL_RUNTIME_TRANSPORTS_SHM_BULK_SPACE_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace nearcall {

// Which bytes of a bulk area are in use: the writer's books. Blocks are given back in the order in which they were
// taken, as the reader passes the records in the ring that name them, so the area is a queue; a block that does not fit
// behind the last one begins at the front again. An area that is empty begins anew, in memory that is still in the
// caches.
//
// Threads: thread-compatible.
class BulkSpace {
 public:
  static constexpr size_t kAlignment = 64;
  static constexpr size_t kNoRoom = SIZE_MAX;

  // How many bytes from the beginning may be used; only grows.
  void set_capacity(size_t capacity) { capacity_ = capacity; }
  size_t capacity() const { return capacity_; }

  // Where a block of `size` bytes (at most the capacity) can lie now, or kNoRoom.
  size_t Find(size_t size) const {
    if (count_ == kMaxBlocks) return kNoRoom;
    if (count_ == 0) return size <= capacity_ ? 0 : kNoRoom;
    const size_t head = blocks_[first_].begin;
    const size_t tail = blocks_[(first_ + count_ - 1) % kMaxBlocks].end;
    if (tail <= head) return head - tail >= size ? tail : kNoRoom;  // wrapped around
    if (capacity_ - tail >= size) return tail;
    return head >= size ? 0 : kNoRoom;
  }

  // Takes what Find found; free again once the reader has passed `position`.
  void Take(size_t begin, size_t size, uint64_t position) {
    const size_t end = begin + (size + kAlignment - 1) / kAlignment * kAlignment;
    blocks_[(first_ + count_) % kMaxBlocks] = Block{begin, end < capacity_ ? end : capacity_, position};
    ++count_;
  }

  // The reader has come to `position`.
  void Free(uint64_t position) {
    while (count_ != 0 && blocks_[first_].position <= position) {
      first_ = (first_ + 1) % kMaxBlocks;
      --count_;
    }
  }

 private:
  static constexpr size_t kMaxBlocks = 16;

  struct Block {
    size_t begin;
    size_t end;
    uint64_t position;
  };

  size_t capacity_ = 0;
  std::array<Block, kMaxBlocks> blocks_;
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_TRANSPORTS_SHM_BULK_SPACE_H_
