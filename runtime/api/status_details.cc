#include "nearcall/status_details.h"

#include <map>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace nearcall {
namespace {

// google.rpc.Status, by hand: programs bring their own generated code of it, and protobuf wants it only once.
//   int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3;
constexpr uint32_t kCodeTag = 1 << 3 | 0;
constexpr uint32_t kMessageTag = 2 << 3 | 2;
constexpr uint32_t kDetailsTag = 3 << 3 | 2;

// google.protobuf.Any, by hand as well: protobuf writes a line to stderr for each type_url that is not UTF-8, and a
// peer's is anybody's.
//   string type_url = 1; bytes value = 2;
constexpr uint32_t kTypeUrlTag = 1 << 3 | 2;
constexpr uint32_t kValueTag = 2 << 3 | 2;

void WriteBytes(uint32_t tag, const std::string& bytes, google::protobuf::io::CodedOutputStream* out) {
  out->WriteVarint32(tag);
  out->WriteVarint32(static_cast<uint32_t>(bytes.size()));
  out->WriteString(bytes);
}

bool ReadBytes(google::protobuf::io::CodedInputStream* in, std::string* bytes) {
  uint32_t size;
  return in->ReadVarint32(&size) && size <= static_cast<uint32_t>(INT32_MAX) &&
         in->ReadString(bytes, static_cast<int>(size));
}

// What an unknown field holds, by its wire type.
bool SkipField(uint32_t tag, google::protobuf::io::CodedInputStream* in) {
  uint64_t ignored;
  std::string bytes;
  switch (tag & 7) {
    case 0:
      return in->ReadVarint64(&ignored);
    case 1:
      return in->Skip(8);
    case 2:
      return ReadBytes(in, &bytes);
    case 5:
      return in->Skip(4);
    default:
      return false;
  }
}

std::string EncodeAny(const std::string& type_url, const std::string& value) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    WriteBytes(kTypeUrlTag, type_url, &out);
    WriteBytes(kValueTag, value, &out);
  }
  return bytes;
}

bool DecodeAny(const std::string& bytes, std::string* type_url, std::string* value) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (const uint32_t tag = in.ReadTag()) {
    const bool read = tag == kTypeUrlTag ? ReadBytes(&in, type_url)
                      : tag == kValueTag ? ReadBytes(&in, value)
                                         : SkipField(tag, &in);
    if (!read) return false;
  }
  return in.ConsumedEntireMessage();
}

}  // namespace

std::string EncodeRpcStatus(const absl::Status& status) {
  std::map<std::string, std::string> details;
  status.ForEachPayload([&details](absl::string_view type_url, const absl::Cord& payload) {
    details.emplace(std::string(type_url), std::string(payload));
  });
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.WriteVarint32(kCodeTag);
    out.WriteVarint32(static_cast<uint32_t>(status.code()));
    WriteBytes(kMessageTag, std::string(status.message()), &out);
    for (const auto& detail : details) WriteBytes(kDetailsTag, EncodeAny(detail.first, detail.second), &out);
  }
  return bytes;
}

absl::Status DecodeRpcStatus(absl::string_view bytes, absl::Status* status) {
  const absl::Status malformed = absl::InvalidArgumentError("the bytes are not a google.rpc.Status");
  if (bytes.size() > static_cast<size_t>(INT32_MAX)) return malformed;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  uint64_t code = 0;
  std::string message;
  std::map<std::string, std::string> details;
  while (const uint32_t tag = in.ReadTag()) {
    bool read;
    if (tag == kCodeTag) {
      read = in.ReadVarint64(&code);
    } else if (tag == kMessageTag) {
      read = ReadBytes(&in, &message);
    } else if (tag == kDetailsTag) {
      std::string packed, type_url, value;
      read = ReadBytes(&in, &packed) && DecodeAny(packed, &type_url, &value);
      if (read) details[type_url] = value;
    } else {
      read = SkipField(tag, &in);
    }
    if (!read) return malformed;
  }
  if (!in.ConsumedEntireMessage()) return malformed;
  *status = absl::Status(code <= 16 ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown, message);
  for (const auto& detail : details) status->SetPayload(detail.first, absl::Cord(detail.second));
  return absl::OkStatus();
}

}  // namespace nearcall
