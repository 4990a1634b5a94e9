#include "nearcall/internal/message.h"

#include <climits>
#include <cstring>

#include "google/protobuf/io/coded_stream.h"

namespace nearcall {
namespace internal {

void OutMessage::SerializeTo(uint8_t* out) const {
  if (is_proto()) {
    proto()->SerializeWithCachedSizesToArray(out);
  } else if (size_ != 0) {
    std::memcpy(out, at_, size_);
  }
}

void OutMessage::SerializeTo(google::protobuf::io::ZeroCopyOutputStream* out) const {
  google::protobuf::io::CodedOutputStream coded(out);
  if (is_proto()) {
    proto()->SerializeWithCachedSizes(&coded);
  } else {
    coded.WriteRaw(at_, static_cast<int>(size_));
  }
}

bool InMessage::Parse(const void* data, size_t size) const {
  static_assert(alignof(google::protobuf::MessageLite) > kKindMask && alignof(std::string) > kKindMask &&
                alignof(MeasuredMessage) > kKindMask);  // there is room for the kind
  if (target_ == 0) return true;
  switch (target_ & kKindMask) {
    case kMeasured: {
      auto* const measured = As<MeasuredMessage>();
      measured->size = size;
      return measured->target.Parse(data, size);
    }
    case kBytes:
      As<std::string>()->assign(static_cast<const char*>(data), size);
      return true;
    default:
      return size <= INT_MAX && As<google::protobuf::MessageLite>()->ParseFromArray(data, static_cast<int>(size));
  }
}

}  // namespace internal
}  // namespace nearcall
