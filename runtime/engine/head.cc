#include "runtime/engine/head.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "nearcall/delivery.h"
#include "protos/nearcall/protocol.pb.h"
#include "runtime/wire/frame.h"

namespace nearcall {
namespace {

using Pairs = google::protobuf::RepeatedPtrField<protocol::MetadataPair>;

bool IsKeyCharacter(char c) {
  return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
         c == '-' || c == '_' || c == '.';
}

// Why the pair may not travel; nullptr when it may.
const char* Objection(absl::string_view key, absl::string_view value) {
  if (key.empty()) return "the key is empty";
  if (!std::all_of(key.begin(), key.end(), IsKeyCharacter)) return "a key is made of a-z, 0-9, '-', '_' and '.'";
  if (absl::EndsWith(key, "-bin")) return nullptr;
  const bool printable = std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
  return printable ? nullptr : "a value that is not printable ASCII needs a key that ends in -bin";
}

bool IsMethodName(absl::string_view name) {
  return std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void Write(const Metadata& metadata, Pairs* pairs) {
  for (const Metadata::Pair& pair : metadata) {
    protocol::MetadataPair* out = pairs->Add();
    out->set_key(pair.first);
    out->set_value(pair.second);
  }
}

bool Read(const Pairs& pairs, Metadata* metadata) {
  for (const protocol::MetadataPair& pair : pairs) {
    if (Objection(pair.key(), pair.value()) != nullptr) return false;
    metadata->Add(pair.key(), pair.value());
  }
  return true;
}

}  // namespace

absl::Status CheckMetadata(const Metadata& metadata) {
  for (const Metadata::Pair& pair : metadata) {
    if (const char* objection = Objection(pair.first, pair.second)) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata key \"", absl::CHexEscape(pair.first), "\": ", objection));
    }
    if (absl::StartsWith(pair.first, "grpc-") || absl::StartsWith(pair.first, "nearcall-")) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata key \"", pair.first, "\": keys that start with grpc- or nearcall- are reserved"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckMethodName(absl::string_view name) {
  if (IsMethodName(name)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("method name \"", absl::CHexEscape(name), "\": a name is made of printable ASCII without blanks"));
}

absl::StatusOr<std::string> EncodeRequestHead(absl::string_view method, const Metadata& metadata) {
  if (absl::Status status = CheckMethodName(method); !status.ok()) return status;
  protocol::RequestHead head;
  head.set_method(std::string(method));
  Write(metadata, head.mutable_metadata());
  std::string bytes = head.SerializeAsString();
  if (bytes.size() > kMaxHeadSize) {
    return absl::ResourceExhaustedError(absl::StrCat("the call's metadata takes ", bytes.size(),
                                                     " bytes with the method's name; the limit is ", kMaxHeadSize));
  }
  return bytes;
}

bool DecodeRequestHead(const void* data, size_t size, std::string* method, Metadata* metadata) {
  protocol::RequestHead head;
  if (!head.ParseFromArray(data, static_cast<int>(size))) return false;
  if (!IsMethodName(head.method())) return false;
  *method = std::move(*head.mutable_method());
  return Read(head.metadata(), metadata);
}

std::string EncodeResponseHead(const absl::Status& status, const Metadata& initial, const Metadata& trailing) {
  if (status.ok() && initial.empty() && trailing.empty()) return std::string();
  protocol::ResponseHead head;
  Write(initial, head.mutable_initial_metadata());
  Write(trailing, head.mutable_trailing_metadata());
  head.set_message(std::string(status.message()));
  status.ForEachPayload([&](absl::string_view type_url, const absl::Cord& value) {
    // What a handler learned of a call of its own says nothing about this one.
    if (type_url == kDeliveryTypeUrl) return;
    protocol::StatusPayload* payload = head.add_payloads();
    payload->set_type_url(std::string(type_url));
    payload->set_value(std::string(value));
  });
  if (head.ByteSizeLong() > kMaxHeadSize) {
    head.clear_initial_metadata();
    head.clear_trailing_metadata();
    if (head.ByteSizeLong() > kMaxHeadSize) head.clear_payloads();
    constexpr char kNote[] = " (the status was cut to fit: metadata and details were dropped)";
    std::string text = head.message().substr(0, kMaxHeadSize - 256);
    head.set_message(absl::StrCat(text, kNote));
  }
  return head.SerializeAsString();
}

bool DecodeResponseHead(const void* data, size_t size, int code, absl::Status* status, Metadata* initial,
                        Metadata* trailing) {
  protocol::ResponseHead head;
  if (!head.ParseFromArray(data, static_cast<int>(size))) return false;
  *status = absl::Status(static_cast<absl::StatusCode>(code), head.message());
  for (const protocol::StatusPayload& payload : head.payloads()) {
    status->SetPayload(payload.type_url(), absl::Cord(payload.value()));
  }
  return Read(head.initial_metadata(), initial) && Read(head.trailing_metadata(), trailing);
}

}  // namespace nearcall
