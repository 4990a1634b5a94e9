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

// There is room for the kind in a pointer's lowest bits.
static_assert(alignof(google::protobuf::MessageLite) > 3 && alignof(std::string) > 3 && alignof(MeasuredMessage) > 3);

bool InMessage::Parse(const void* data, size_t size) const {
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
