#include "nearcall/delivery.h"

#include "absl/strings/cord.h"

namespace nearcall {
namespace {

constexpr char kNotSeen[] = "not seen";
constexpr char kMaybeSeen[] = "maybe seen";

}  // namespace

bool SurelyNotSeen(const absl::Status& status) {
  const auto payload = status.GetPayload(kDeliveryTypeUrl);
  return payload.has_value() && *payload == kNotSeen;
}

void SetDelivery(absl::Status* status, bool maybe_seen) {
  status->SetPayload(kDeliveryTypeUrl, absl::Cord(maybe_seen ? kMaybeSeen : kNotSeen));
}

}  // namespace nearcall
