#include "runtime/engine/session_options.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace nearcall {

SessionOptions OptionsOfChannel(const ChannelOptions& options, std::shared_ptr<const Peer> peer) {
  SessionOptions session;
  session.peer = std::move(peer);
  session.max_receive_bytes = options.max_receive_message_bytes;
  session.max_send_bytes = options.max_send_message_bytes;
  session.receive_window = std::max(options.stream_window_bytes, 1);
  session.max_backlog_bytes = static_cast<size_t>(std::max(options.max_backlog_bytes, 0));
  session.max_buffered_bytes = options.max_buffered_bytes;
  session.max_mapped_bytes = options.max_mapped_bytes;
  session.max_mapped_bytes_name = "max_mapped_bytes";
  return session;
}

SessionOptions OptionsOfServer(const ServerOptions& options, std::shared_ptr<const Peer> peer,
                               std::shared_ptr<Admission> admission) {
  SessionOptions session;
  session.admission = std::move(admission);
  session.peer = std::move(peer);
  session.max_calls = static_cast<uint32_t>(options.max_concurrent_calls_per_connection);
  session.max_receive_bytes = options.max_receive_message_bytes;
  session.max_send_bytes = options.max_send_message_bytes;
  session.receive_window = std::max(options.stream_window_bytes, 1);
  session.max_backlog_bytes = static_cast<size_t>(std::max(options.max_backlog_bytes, 0));
  session.max_mapped_bytes = options.max_mapped_bytes_per_connection;
  session.max_mapped_bytes_name = "max_mapped_bytes_per_connection";
  return session;
}

int64_t WindowFromWire(uint32_t window) { return window == 0 ? kInitialCredit : window; }

absl::Status BrokeProtocol(const SessionOptions& options) {
  return absl::InternalError(absl::StrCat(options.peer->address, " broke the protocol"));
}

absl::Status NoSuchMethod(absl::string_view name) {
  return absl::UnimplementedError(absl::StrCat("this server has no method ", name));
}

absl::Status TooManyCalls(const SessionOptions& options) {
  return absl::ResourceExhaustedError(absl::StrCat("the connection to ", options.peer->address, " has ",
                                                   options.max_calls, " calls open, which is the server's limit"));
}

absl::Status TooManyCallsOnServer(const Quota& limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat("the server serves ", limit.limit(), " calls already, which is its ", limit.name()));
}

absl::Status TooLargeToReceive(const SessionOptions& options, uint64_t size) {
  return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes from ", options.peer->address,
                                                   " is over the receive limit of ", options.max_receive_bytes));
}

absl::Status TooMuchBuffered(const SessionOptions& options, const Quota& limit) {
  return absl::ResourceExhaustedError(absl::StrCat("messages from ", options.peer->address,
                                                   " that nobody has taken yet would be over the ", limit.limit(),
                                                   " bytes of ", limit.name()));
}

absl::Status TooLargeToSend(const SessionOptions& options, size_t size) {
  return absl::ResourceExhaustedError(absl::StrCat("a message of ", size, " bytes for ", options.peer->address,
                                                   " is over the send limit of ", MaxSendSize(options)));
}

}  // namespace nearcall
