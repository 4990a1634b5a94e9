#include "nearcall/buffer.h"

#include <vector>

#include "nearcall/internal/buffer_memory.h"

namespace nearcall {
namespace {

struct OwnBytes final : internal::BufferMemory {
  explicit OwnBytes(size_t size) : bytes(size) {}
  std::vector<uint8_t> bytes;
};

}  // namespace

Buffer::Buffer(size_t size) {
  const auto own = std::make_shared<OwnBytes>(size);
  *this = internal::BufferAccess::Make(own, own->bytes.data(), size);
}

}  // namespace nearcall
