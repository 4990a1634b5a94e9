#ifndef NEARCALL_INTERNAL_MESSAGE_H_
#define NEARCALL_INTERNAL_MESSAGE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/io/zero_copy_stream.h"
#include "google/protobuf/message_lite.h"

namespace nearcall {
namespace internal {

// A message on its way out: a protobuf message, or bytes that are one already (proxies). A view: what it points at must
// outlive it, unchanged.
class OutMessage {
 public:
  OutMessage() = default;
  OutMessage(const google::protobuf::MessageLite& message) : proto_(&message) {}  // NOLINT: implicit on purpose
  explicit OutMessage(absl::string_view bytes) : bytes_(bytes) {}

  // The serialised size; to be called before SerializeTo, which relies on the sizes that protobuf caches here.
  size_t ByteSize() const {
    if (size_ != kUnknownSize) return size_;
    return proto_ != nullptr ? proto_->ByteSizeLong() : bytes_.size();
  }
  // The same message, whose ByteSize() has been found out.
  OutMessage Sized() const {
    OutMessage sized = *this;
    sized.size_ = ByteSize();
    return sized;
  }
  // Writes exactly ByteSize() bytes.
  void SerializeTo(uint8_t* out) const;
  // The same, unless the stream fails.
  void SerializeTo(google::protobuf::io::ZeroCopyOutputStream* out) const;

 private:
  static constexpr size_t kUnknownSize = SIZE_MAX;

  const google::protobuf::MessageLite* proto_ = nullptr;
  absl::string_view bytes_;
  size_t size_ = kUnknownSize;
};

// Where a received message goes: a protobuf message, or a string that takes the bytes as they are.
class InMessage {
 public:
  InMessage() = default;
  InMessage(google::protobuf::MessageLite* message) : proto_(message) {}  // NOLINT: implicit on purpose
  // *size gets the serialised size of what was parsed.
  InMessage(google::protobuf::MessageLite* message, size_t* size) : proto_(message), size_(size) {}
  explicit InMessage(std::string* bytes) : bytes_(bytes) {}

  // The same target; size() then tells the serialised size of what was parsed. `size` must live as long as the result.
  InMessage Measured(size_t* size) const {
    InMessage measured = *this;
    if (measured.size_ == nullptr) measured.size_ = size;
    return measured;
  }
  size_t size() const { return *size_; }

  // Replaces the target's content. False when the bytes are not such a message; the target is then valid but
  // unspecified.
  bool Parse(const void* data, size_t size) const;

 private:
  google::protobuf::MessageLite* proto_ = nullptr;
  std::string* bytes_ = nullptr;
  size_t* size_ = nullptr;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_MESSAGE_H_
