#include "nearcall/internal/message.h"

#include <climits>
#include <cstring>

#include "google/protobuf/io/coded_stream.h"

namespace nearcall {
namespace internal {

void OutMessage::SerializeTo(uint8_t* out) const {
  if (proto_ != nullptr) {
    proto_->SerializeWithCachedSizesToArray(out);
  } else if (!bytes_.empty()) {
    std::memcpy(out, bytes_.data(), bytes_.size());
  }
}

void OutMessage::SerializeTo(google::protobuf::io::ZeroCopyOutputStream* out) const {
  google::protobuf::io::CodedOutputStream coded(out);
  if (proto_ != nullptr) {
    proto_->SerializeWithCachedSizes(&coded);
  } else {
    coded.WriteRaw(bytes_.data(), static_cast<int>(bytes_.size()));
  }
}

bool InMessage::Parse(const void* data, size_t size) const {
  if (size_ != nullptr) *size_ = size;
  if (proto_ != nullptr) return size <= INT_MAX && proto_->ParseFromArray(data, static_cast<int>(size));
  if (bytes_ != nullptr) bytes_->assign(static_cast<const char*>(data), size);
  return true;
}

}  // namespace internal
}  // namespace nearcall
