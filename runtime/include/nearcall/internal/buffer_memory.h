#ifndef NEARCALL_INTERNAL_BUFFER_MEMORY_H_
#define NEARCALL_INTERNAL_BUFFER_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "nearcall/buffer.h"

namespace nearcall {
namespace internal {

// What keeps a Buffer's bytes.
class BufferMemory {
 public:
  virtual ~BufferMemory() = default;
};

// The framework's way into a Buffer.
class BufferAccess {
 public:
  static Buffer Make(std::shared_ptr<BufferMemory> memory, uint8_t* data, size_t size) {
    return Make(std::move(memory), data, size, true);
  }
  static Buffer MakeReadOnly(std::shared_ptr<BufferMemory> memory, const uint8_t* data, size_t size) {
    return Make(std::move(memory), const_cast<uint8_t*>(data), size, false);
  }
  static const std::shared_ptr<BufferMemory>& memory(const Buffer& buffer) { return buffer.memory_; }

 private:
  static Buffer Make(std::shared_ptr<BufferMemory> memory, uint8_t* data, size_t size, bool writable) {
    Buffer buffer;
    buffer.memory_ = std::move(memory);
    buffer.data_ = data;
    buffer.size_ = size;
    buffer.writable_ = writable;
    return buffer;
  }
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_BUFFER_MEMORY_H_
