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
// outlive it, unchanged. Two words, which travel in registers.
class OutMessage {
 public:
  OutMessage() = default;
  OutMessage(const google::protobuf::MessageLite& message)  // NOLINT: implicit on purpose
      : at_(&message), size_(kProto | kUnknownSize) {}
  explicit OutMessage(absl::string_view bytes) : at_(bytes.data()), size_(bytes.size()) {}

  // The serialised size; to be called before SerializeTo, which relies on the sizes that protobuf caches here.
  size_t ByteSize() const { return size_ == (kProto | kUnknownSize) ? proto()->ByteSizeLong() : size_ & ~kProto; }
  // The same message, whose ByteSize() has been found out.
  OutMessage Sized() const {
    OutMessage sized = *this;
    sized.size_ = (size_ & kProto) | ByteSize();
    return sized;
  }
  // Writes exactly ByteSize() bytes.
  void SerializeTo(uint8_t* out) const;
  // The same, unless the stream fails.
  void SerializeTo(google::protobuf::io::ZeroCopyOutputStream* out) const;

 private:
  static constexpr size_t kProto = ~(SIZE_MAX >> 1);  // the highest bit
  static constexpr size_t kUnknownSize = SIZE_MAX >> 1;

  bool is_proto() const { return (size_ & kProto) != 0; }
  const google::protobuf::MessageLite* proto() const { return static_cast<const google::protobuf::MessageLite*>(at_); }

  const void* at_ = nullptr;
  size_t size_ = 0;  // with kProto for a protobuf message
};

struct MeasuredMessage;

// Where a received message goes: a protobuf message, or a string that takes the bytes as they are; by default nowhere.
// A view: the target must outlive it. One word.
class InMessage {
 public:
  InMessage() = default;
  InMessage(google::protobuf::MessageLite* message)  // NOLINT: implicit on purpose
      : target_(Tagged(message, kProto)) {}
  explicit InMessage(std::string* bytes) : target_(Tagged(bytes, kBytes)) {}
  // To measured->target; measured->size gets the serialised size of what was parsed.
  explicit InMessage(MeasuredMessage* measured) : target_(Tagged(measured, kMeasured)) {}

  // Replaces the target's content. False when the bytes are not such a message; the target is then valid but
  // unspecified.
  bool Parse(const void* data, size_t size) const;

 private:
  // In the lowest bits of the pointer.
  enum Kind : uintptr_t { kProto, kBytes, kMeasured };
  static constexpr uintptr_t kKindMask = 3;

  template <class Target>
  static uintptr_t Tagged(Target* target, Kind kind) {
    return reinterpret_cast<uintptr_t>(target) | kind;
  }
  template <class Target>
  Target* As() const {
    return reinterpret_cast<Target*>(target_ & ~kKindMask);
  }

  uintptr_t target_ = 0;
};

// A target, and the serialised size of what was parsed into it last.
struct MeasuredMessage {
  InMessage target;
  size_t size = 0;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_MESSAGE_H_
