#include "runtime/engine/pending_call.h"

#include <string>

namespace nearcall {

void PendingCall::TakeAssembledResponse() {
  switch (inbox->TryRead(response)) {
    case Inbox::Got::kMessage:
      return;
    case Inbox::Got::kUnparsable:
      status = UnreadableResponse();
      return;
    default:
      status = absl::InternalError("the server ended the call with OK but sent no response");
  }
}

absl::Status UnreadableResponse() {
  return absl::InternalError("the server's response is not a message of the method's type");
}

bool ParseCopyOfPayload(internal::InMessage message, const uint8_t* data, size_t size) {
  const std::string copy(reinterpret_cast<const char*>(data), size);
  return message.Parse(copy.data(), copy.size());
}

}  // namespace nearcall
