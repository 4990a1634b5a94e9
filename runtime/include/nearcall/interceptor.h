#ifndef NEARCALL_INTERCEPTOR_H_
#define NEARCALL_INTERCEPTOR_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace nearcall {

class ClientContext;
class ServerContext;

// Interceptors look on as calls are made or served, and have a say before each begins: they count, log, trace, add
// credentials, refuse. A channel has those of ChannelOptions::interceptors, a server those of
// ServerBuilder::AddInterceptor; without any, calls take the way that they always take.
//
// On the way in (a call begins, a caller's message passes) they run in the order in which they were registered, on the
// way out (the server's message passes, the call ends) in reverse.

// The method of a call.
struct MethodInfo {
  // "/package.Service/Method"; valid for as long as the service or stub is there, in generic calls for the call's life.
  absl::string_view name;
  bool client_streaming;
  bool server_streaming;
  // A small number, from 1, that stands for the method in this process (one method may have several): for tables.
  uint32_t id;
};

// What a call came to.
struct CallTotals {
  absl::Duration duration;
  int64_t messages_sent = 0;
  int64_t messages_received = 0;
  int64_t bytes_sent = 0;  // of messages, serialized
  int64_t bytes_received = 0;
};

// Looks on at one call.
//
// Threads: OnMessageSent and OnMessageReceived may run at the same time, as a stream's reader and writer do; OnEnd
// comes after both, and is the last: the listener is then deleted. Nothing here may throw, or block for long: the call
// waits meanwhile.
class CallListener {
 public:
  virtual ~CallListener() = default;
  // A message of `bytes` passed; sent is what this side sent. A client's unary request shows at the end of its call, if
  // a connection was found for it.
  virtual void OnMessageSent(size_t bytes) { (void)bytes; }
  virtual void OnMessageReceived(size_t bytes) { (void)bytes; }
  // Exactly once, however the call ended. On a client, `status` is what the caller gets; CANCELLED for a stream that is
  // dropped before its end. On a server it is what the handler ended the call with, before the caller can know, and
  // CANCELLED or DEADLINE_EXCEEDED where nobody waited for that any more. The contexts are still there.
  virtual void OnEnd(const absl::Status& status, const CallTotals& totals) = 0;
};

// Threads: thread-safe. Lifetime: kept by the channel, and by its calls until they end.
class ClientInterceptor {
 public:
  virtual ~ClientInterceptor() = default;
  // A call is about to begin, on the thread that makes it. May add metadata to `context` and change its deadline, and
  // may keep the pointer until OnEnd has returned. nullptr: does not care what becomes of the call.
  virtual std::unique_ptr<CallListener> OnCall(const MethodInfo& method, ClientContext* context) = 0;
};

// Threads: thread-safe. Lifetime: kept by the server.
class ServerInterceptor {
 public:
  virtual ~ServerInterceptor() = default;
  // A call is about to be served, on a thread that may block. The context knows the caller's metadata, deadline and
  // address; metadata may be added to the answer, and the pointer kept until OnEnd has returned. nullptr: does not care
  // what becomes of the call. A status refuses the call: neither the interceptors that follow nor the handler see it.
  // An exception refuses it with UNKNOWN.
  //
  // Calls of methods that the server does not have are answered without asking anybody.
  virtual absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo& method, ServerContext* context) = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_INTERCEPTOR_H_
