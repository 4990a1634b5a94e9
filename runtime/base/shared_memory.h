#ifndef NEARCALL_RUNTIME_BASE_SHARED_MEMORY_H_
#define NEARCALL_RUNTIME_BASE_SHARED_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/fd.h"

namespace nearcall {

// Memory in a memfd that its maker alone can write, and whose size nobody can change: after the maker has mapped it, it
// is sealed against growing, shrinking and further writable mappings. So whoever is handed the descriptor can read it,
// neither side can make the other fault, and nothing in it can be changed behind its maker's back.

// A memfd of no size yet. Invalid on failure, with errno.
Fd MakeMemfd();
// Adds the seals: when our own mapping is made, and before anybody else sees the descriptor.
absl::Status SealMemfd(const Fd& fd);
// INVALID_ARGUMENT when a descriptor from a peer has not got them all: before anything else is asked of it, for only a
// memfd has seals.
absl::Status CheckSeals(const Fd& fd);

// One such memory as a whole, mapped for as long as it lives.
//
// Threads: thread-safe; the bytes have no lock.
class SharedMemory {
 public:
  // At least `size` bytes of ours, all of them allocated, mapped for writing. RESOURCE_EXHAUSTED when there is no
  // memory.
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Create(size_t size);
  // The size of a peer's. INVALID_ARGUMENT when it is anything but a sealed memfd with memory behind each of its bytes.
  static absl::StatusOr<size_t> SizeOf(const Fd& fd);
  // Maps it for reading, and lets the descriptor go. `size` is what SizeOf said. RESOURCE_EXHAUSTED.
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Open(Fd fd, size_t size);

  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  // To be passed to peers; -1 of what a peer has made.
  int fd() const { return fd_.get(); }

 private:
  SharedMemory(Fd fd, uint8_t* data, size_t size) : fd_(std::move(fd)), data_(data), size_(size) {}
  static absl::StatusOr<std::shared_ptr<SharedMemory>> Map(Fd fd, size_t size, int protection, int flags);

  Fd fd_;
  uint8_t* const data_;
  const size_t size_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_SHARED_MEMORY_H_
