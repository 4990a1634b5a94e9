#ifndef NEARCALL_DELIVERY_H_
#define NEARCALL_DELIVERY_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace nearcall {

// A call that failed because its connection did: whether the server may have seen it.
//
// A status with code UNAVAILABLE that the framework made carries a payload of this type that says so. A call that was
// surely not seen can be repeated without harm, and the framework has tried that already where it could.
inline constexpr char kDeliveryTypeUrl[] = "nearcall/delivery";

// Whether no handler can have seen the call. False when it may have been seen, and for statuses that say nothing of it.
bool SurelyNotSeen(const absl::Status& status);

// Marks a status. For transports and tests.
void SetDelivery(absl::Status* status, bool maybe_seen);

}  // namespace nearcall

#endif  // NEARCALL_DELIVERY_H_
