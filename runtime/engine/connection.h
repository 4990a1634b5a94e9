#ifndef NEARCALL_RUNTIME_ENGINE_CONNECTION_H_
#define NEARCALL_RUNTIME_ENGINE_CONNECTION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/buffer.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/method.h"
#include "nearcall/peer.h"

namespace nearcall {

struct PendingCall;
class CallObserver;

// How an attempt to make a call on one connection ended.
struct CallOutcome {
  absl::Status status;
  // The connection ended, and no handler can have seen the call: it may be made again on another connection.
  bool may_retry = false;
  // The connection ended before the call did.
  bool lost = false;
};

// An established connection to a server, as a channel sees it: one virtual call for each call made.
//
// Threads: thread-safe.
class ClientConnection {
 public:
  explicit ClientConnection(std::shared_ptr<const Peer> peer) : peer_(std::move(peer)) {}
  virtual ~ClientConnection() = default;

  // Who is at the other end; constant.
  const std::shared_ptr<const Peer>& peer() const { return peer_; }

  // Whether new calls may be made on it. False once it is closed or the server asked for no more calls. The answer is a
  // hint: a call that finds out later says so with may_retry.
  bool usable() const { return usable_.load(std::memory_order_relaxed); }

  // Makes a call and blocks until it is over, or until `deadline` on the monotonic clock.
  virtual CallOutcome Unary(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                            internal::InMessage response, int64_t deadline) = 0;

  // Makes a call of which nobody hears: returns once the request is sent. Waits when too many such calls are under way.
  virtual CallOutcome OneWay(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                             int64_t deadline) = 0;

  // Starts a call and returns; may block while the connection has no room for the request. call->observer is told when
  // it is over. With an outcome other than OK nothing was started.
  virtual CallOutcome StartUnary(const internal::Method& method, PendingCall* call, internal::OutMessage request,
                                 int64_t deadline) = 0;
  // Ends what StartUnary has started, finished or not; to be called once, and `call` is the caller's again afterwards.
  virtual CallOutcome EndUnary(PendingCall* call) = 0;

  // Begins a streaming call; nullptr when it could not be begun, and *outcome says why. The call keeps `owner` alive.
  // `observer`, where not null, is told when the call has moved.
  virtual std::unique_ptr<internal::ClientCall> StartStream(const internal::Method& method, ClientContext* context,
                                                            int64_t deadline, std::shared_ptr<const void> owner,
                                                            CallObserver* observer, CallOutcome* outcome) = 0;

  // Memory that the server can map, if the connection passes descriptors. RESOURCE_EXHAUSTED.
  virtual absl::StatusOr<Buffer> AllocateBuffer(size_t size) = 0;

  // Ends the connection: calls in progress fail with UNAVAILABLE.
  virtual void Close() = 0;

 protected:
  void SetUnusable() { usable_.store(false, std::memory_order_relaxed); }

 private:
  const std::shared_ptr<const Peer> peer_;
  std::atomic<bool> usable_{true};
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_CONNECTION_H_
