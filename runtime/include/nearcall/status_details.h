#ifndef NEARCALL_STATUS_DETAILS_H_
#define NEARCALL_STATUS_DETAILS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

namespace nearcall {

// Details of an error: messages that travel with a status, as its payloads, to the caller. They are the `details` of a
// google.rpc.Status: a payload's type URL is "type.googleapis.com/" and the message's full name, its bytes the message.

// The type URL of a message's type.
template <class Detail>
std::string DetailTypeUrl() {
  return absl::StrCat("type.googleapis.com/", Detail::default_instance().GetTypeName());
}

// Adds a detail to a status, in place of one of the same type. Does nothing to OK, which has no details.
template <class Detail>
void SetDetail(absl::Status* status, const Detail& detail) {
  status->SetPayload(DetailTypeUrl<Detail>(), absl::Cord(detail.SerializeAsString()));
}

// Finds the detail of *detail's type. False when there is none, or it cannot be parsed.
template <class Detail>
bool GetDetail(const absl::Status& status, Detail* detail) {
  const auto payload = status.GetPayload(DetailTypeUrl<Detail>());
  return payload.has_value() && detail->ParseFromString(std::string(*payload));
}

// A status as the bytes of a google.rpc.Status, and back: what gRPC carries as `grpc-status-details-bin`. Every payload
// becomes a detail, in the order of their type URLs.
std::string EncodeRpcStatus(const absl::Status& status);
// INVALID_ARGUMENT where the bytes are no google.rpc.Status; *status is then untouched. A code that is none of gRPC's
// becomes UNKNOWN.
absl::Status DecodeRpcStatus(absl::string_view bytes, absl::Status* status);

}  // namespace nearcall

#endif  // NEARCALL_STATUS_DETAILS_H_
