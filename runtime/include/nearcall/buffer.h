#ifndef NEARCALL_BUFFER_H_
#define NEARCALL_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"

namespace nearcall {
namespace internal {
class BufferAccess;
class BufferMemory;
}  // namespace internal

// Bytes that go with a call beside its messages, without passing through protobuf: ClientContext::Attach and
// ServerContext::Attach. A Buffer is a handle: copies of it are the same bytes.
//
// A buffer from AllocateBuffer (of a Channel, or of a ServerContext) lies in memory that the other process maps: over
// shm and unix nothing is copied, however large it is, and a buffer that has crossed once crosses again at the price
// of a small message. Over tcp and inproc, and for memory of this process alone, the bytes are copied.
//
// Who attaches a buffer lends it: until the other side has dropped its handles it should not be written. Who has
// received one can read it for as long as a handle lives, the call, the connection and the lender notwithstanding; but
// nothing keeps the lender from writing meanwhile. Where the peer is not trusted, copy first, then check, then use.
// Processes that a buffer was lent to can read it for as long as it lives, so it is lent to one peer only, unless you
// attach it to calls of others yourself; what AllocateBuffer reuses stays with its connection.
//
// A forked child has no part in its parent's buffers: to touch their bytes ends it.
//
// Threads: thread-compatible, as a std::shared_ptr is; the bytes have no lock.
class Buffer {
 public:
  // No memory.
  Buffer() = default;
  // `size` bytes, zeroed, of this process alone.
  explicit Buffer(size_t size);

  size_t size() const { return size_; }
  const uint8_t* data() const { return data_; }
  // nullptr where the bytes were received.
  uint8_t* mutable_data() const { return writable_ ? data_ : nullptr; }
  // The bytes where they lie. ToString, so to speak, is std::string(buffer.view()).
  absl::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  friend class internal::BufferAccess;

  std::shared_ptr<internal::BufferMemory> memory_;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  bool writable_ = false;
};

}  // namespace nearcall

#endif  // NEARCALL_BUFFER_H_
