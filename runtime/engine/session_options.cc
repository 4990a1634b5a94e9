#include "runtime/engine/session_options.h"

#include "absl/strings/str_cat.h"
#include "runtime/engine/message_sender.h"

namespace nearcall {

absl::Status TooManyCalls(const SessionOptions& options) {
  return absl::ResourceExhaustedError(absl::StrCat("the connection to ", options.peer->address, " has ",
                                                   options.max_calls, " calls open, which is the server's limit"));
}

absl::Status TooLargeToReceive(const SessionOptions& options, uint64_t size) {
  return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes from ", options.peer->address,
                                                   " is over the receive limit of ", options.max_receive_bytes));
}

absl::Status CheckSendSize(const SessionOptions& options, size_t size) {
  const size_t limit = options.max_send_bytes >= 0 ? static_cast<size_t>(options.max_send_bytes) : kMaxMessageSize;
  if (size <= limit) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("a message of ", size, " bytes for ", options.peer->address, " is over the send limit of ", limit));
}

}  // namespace nearcall
