#ifndef NEARCALL_CHANNEL_H_
#define NEARCALL_CHANNEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nearcall/buffer.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/method.h"
#include "nearcall/internal/transport_options.h"
#include "nearcall/spin.h"

namespace nearcall {

class ClientInterceptor;

struct ChannelOptions {
  // The largest response that a call accepts, in bytes; RESOURCE_EXHAUSTED for that call beyond it. -1: no limit.
  int max_receive_message_bytes = 4 << 20;
  // The largest request that a call sends, in bytes. -1: no limit but the server's.
  int max_send_message_bytes = -1;
  // Bytes of messages that the server may have under way to one stream of ours that does not read. At least 1.
  int stream_window_bytes = 64 << 10;
  // Bytes of messages that have come and that nobody has taken yet, all calls together; RESOURCE_EXHAUSTED for the call
  // whose message would go beyond. -1: no limit. It bounds what a response may have that does not come in one piece
  // (from 32 KiB on), whatever max_receive_message_bytes says.
  int64_t max_buffered_bytes = 256 << 20;
  // Bytes of the server's buffers (nearcall/buffer.h) that we map, all calls together; RESOURCE_EXHAUSTED for the call
  // whose attachment would go beyond. -1: no limit. Attachments that are copied count for max_buffered_bytes instead.
  int64_t max_mapped_bytes = 1 << 30;
  // Bytes of our answers out of turn (to pings, credit, cancellations) that wait for a server that does not read; with
  // more, the connection is closed.
  int max_backlog_bytes = 1 << 20;
  // How long one attempt to connect may take, handshake included.
  absl::Duration connect_timeout = absl::Seconds(5);
  // After a failed attempt the next one waits: from `initial`, times 1.6 each time, to `max`, give or take 20%.
  absl::Duration initial_backoff = absl::Milliseconds(10);
  absl::Duration max_backoff = absl::Seconds(5);
  // How callers wait for their replies.
  Spin spin = Spin::kAdaptive;
  // Who looks on at every call (nearcall/interceptor.h).
  std::vector<std::shared_ptr<ClientInterceptor>> interceptors;
  // What only the address's transport understands; its own header sets it (nearcall/grpc.h).
  std::shared_ptr<const internal::TransportOptions> transport;
};

// The state of a channel's connection; gRPC's names.
enum class ConnectivityState { kIdle, kConnecting, kReady, kTransientFailure, kShutdown };

// The way to one server. Connects on first use and again when the connection is lost.
//
// Threads: thread-safe; meant to be shared by many threads and many stubs.
// Lifetime: calls keep the channel alive; the destructor closes the connection.
class Channel {
 public:
  virtual ~Channel() = default;

  // The address as it was given.
  virtual const std::string& address() const = 0;
  // The state of the connection; with `try_to_connect`, starts to connect when idle.
  virtual ConnectivityState GetState(bool try_to_connect) = 0;
  // Blocks until the channel is ready; false when `deadline` passes first, or the address can never work.
  virtual bool WaitForConnected(absl::Time deadline) = 0;

  // Memory that the server can map, for ClientContext::Attach: `size` bytes, not cleared where they were used before.
  // RESOURCE_EXHAUSTED when there is none. Does not connect. The memory may outlive the channel.
  virtual absl::StatusOr<Buffer> AllocateBuffer(size_t size) { return Buffer(size); }

  // --- For generated code
  // ---------------------------------------------------------------------------------------------

  // Calls and blocks for the answer.
  virtual absl::Status UnaryCall(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                                 internal::InMessage response) = 0;
  // Calls and returns; `done` runs exactly once, on a thread of the channel's, never inside this call. `context` and
  // what the messages point at must live until then.
  virtual void UnaryCallAsync(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                              internal::InMessage response, std::function<void(absl::Status)> done) = 0;
  // Begins a streaming call. Never null: where the call cannot begin, Finish() of what is returned says why.
  virtual std::unique_ptr<internal::ClientCall> StartCall(const internal::Method& method, ClientContext* context) = 0;
  // The same for a call that `driver` drives, on a thread of the channel's and never inside this function. `context`
  // must live until driver->OnDone. The waker lives until Drive has returned true.
  virtual internal::CallWaker* StartCallAsync(const internal::Method& method, ClientContext* context,
                                              std::shared_ptr<internal::ClientDriver> driver) = 0;
};

// A channel to `address` (see the address table in the README). Never null and never blocks: an address that cannot
// work shows as INVALID_ARGUMENT on every call.
std::shared_ptr<Channel> CreateChannel(const std::string& address);
std::shared_ptr<Channel> CreateChannel(const std::string& address, const ChannelOptions& options);

}  // namespace nearcall

#endif  // NEARCALL_CHANNEL_H_
