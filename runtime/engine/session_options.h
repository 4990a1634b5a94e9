#ifndef NEARCALL_RUNTIME_ENGINE_SESSION_OPTIONS_H_
#define NEARCALL_RUNTIME_ENGINE_SESSION_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "nearcall/channel.h"
#include "nearcall/peer.h"
#include "nearcall/server.h"
#include "runtime/engine/admission.h"
#include "runtime/engine/quota.h"
#include "runtime/wire/frame.h"

namespace nearcall {

// What a session knows of its connection from the handshake and from the options of its channel or server.
struct SessionOptions {
  std::shared_ptr<const Peer> peer;
  uint32_t max_calls = 0;          // that may be open at once
  int64_t max_receive_bytes = -1;  // of one message; -1: no limit
  int64_t max_send_bytes = -1;
  // Bytes of messages that a sender may have under way on one stream: what we let the peer, and what it lets us.
  int64_t receive_window = kInitialCredit;
  int64_t send_window = kInitialCredit;
  size_t max_backlog_bytes = 1 << 20;  // of frames that must not wait, and do (Sender)
  int64_t max_buffered_bytes = -1;     // of messages that nobody has taken yet; of a channel
  // Of the peer's buffers that are mapped, and the option that says so.
  int64_t max_mapped_bytes = -1;
  const char* max_mapped_bytes_name = "";
  std::shared_ptr<Admission> admission;  // of a server: what the connection may have of it
};

// The side of a connection that belongs to a channel, or to a server; what the other side decides is filled in after.
SessionOptions OptionsOfChannel(const ChannelOptions& options, std::shared_ptr<const Peer> peer);
SessionOptions OptionsOfServer(const ServerOptions& options, std::shared_ptr<const Peer> peer,
                               std::shared_ptr<Admission> admission);
// A window as the handshake says it: 0 stands for the default.
int64_t WindowFromWire(uint32_t window);

absl::Status BrokeProtocol(const SessionOptions& options);  // INTERNAL
absl::Status NoSuchMethod(absl::string_view name);          // UNIMPLEMENTED
// What is said of one call that is over a limit of its connection; RESOURCE_EXHAUSTED.
absl::Status TooManyCalls(const SessionOptions& options);
absl::Status TooManyCallsOnServer(const Quota& limit);
absl::Status TooLargeToReceive(const SessionOptions& options, uint64_t size);
absl::Status TooMuchBuffered(const SessionOptions& options, const Quota& limit);
absl::Status TooLargeToSend(const SessionOptions& options, size_t size);

// Of one message; options.max_send_bytes, where that is a limit.
inline size_t MaxSendSize(const SessionOptions& options) {
  return options.max_send_bytes >= 0 ? static_cast<size_t>(options.max_send_bytes) : kMaxMessageSize;
}
// OK for a message of a size that may be sent.
inline absl::Status CheckSendSize(const SessionOptions& options, size_t size) {
  return size <= MaxSendSize(options) ? absl::OkStatus() : TooLargeToSend(options, size);
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SESSION_OPTIONS_H_
