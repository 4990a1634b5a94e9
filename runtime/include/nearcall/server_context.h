#ifndef NEARCALL_SERVER_CONTEXT_H_
#define NEARCALL_SERVER_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nearcall/call_attachments.h"
#include "nearcall/internal/mutex.h"
#include "nearcall/metadata.h"
#include "nearcall/peer.h"

namespace nearcall {

class ClientContext;
class ServerUnaryReactor;
namespace internal {
class CancelNotice;
class ServerCall;
class ServerContextAccess;
}  // namespace internal

// What a handler knows of the call that it serves beside the request, and what it can add to the answer.
//
// Threads: thread-compatible, but for IsCancelled() and deadline(), which any thread may call while the handler runs.
// Lifetime: the framework's; valid until the handler has finished.
class ServerContext : public CallAttachments {
 public:
  ServerContext() = default;
  ServerContext(const ServerContext&) = delete;
  ServerContext& operator=(const ServerContext&) = delete;

  // The caller's deadline on this machine's clock; InfiniteFuture where it set none.
  absl::Time deadline() const;
  // Whether nobody waits for the answer any more: the caller cancelled, its deadline passed, or its connection is gone.
  bool IsCancelled() const {
    return cancelled_.load(std::memory_order_relaxed) || (deadline_ns_ != kNoDeadline && DeadlineHasPassed());
  }

  // Has `callback` called once, on a thread of the server's, when IsCancelled turns true while the handler runs; at
  // once, inside this function, if it is true already. It never runs after the handler has returned: the return waits
  // for one that runs. For handlers that block; reactors have OnCancel. To be called once, by the handler.
  void SetOnCancel(std::function<void()> callback);

  // What the caller sent beside the request.
  const Metadata& client_metadata() const { return client_metadata_; }
  // Travels before the first message, at the latest with the status.
  void AddInitialMetadata(absl::string_view key, absl::string_view value) { initial_metadata_.Add(key, value); }
  // Travels with the status.
  void AddTrailingMetadata(absl::string_view key, absl::string_view value) { trailing_metadata_.Add(key, value); }

  // Memory that the caller can map, for Attach. RESOURCE_EXHAUSTED when there is none.
  absl::StatusOr<Buffer> AllocateBuffer(size_t size) const;

  // The caller's address and what the kernel says of its process.
  const Peer& peer_info() const { return *peer_; }
  std::string peer() const { return peer_->address; }
  // What carries the call: "shm", "unix", "tcp", "inproc", "grpc".
  absl::string_view transport() const { return peer_->transport; }
  // The full name of the method: "/package.Service/Method".
  absl::string_view method() const { return method_; }

  // Ends the call with CANCELLED for its caller, and cancels it here. Any thread, until the call is over.
  void TryCancel() const;

  // For methods in callback form (server_reactor.h): a reactor to return where one's own has nothing to do but Finish.
  ServerUnaryReactor* DefaultReactor();

 private:
  friend class internal::ServerContextAccess;

  static constexpr int64_t kNoDeadline = INT64_MAX;  // kNever of the engine

  bool DeadlineHasPassed() const;

  internal::ServerCall* call_ = nullptr;
  const Peer* peer_ = nullptr;
  absl::string_view method_;
  int64_t deadline_ns_ = kNoDeadline;  // on the monotonic clock
  std::atomic<bool> cancelled_{false};
  Metadata client_metadata_;
  Metadata initial_metadata_;
  Metadata trailing_metadata_;
  std::shared_ptr<ServerUnaryReactor> default_reactor_;

  std::shared_ptr<internal::CancelNotice> cancel_notice_ ABSL_GUARDED_BY(mu_);
  bool has_cancel_notice_ = false;  // the handler's own

  // The calls made on behalf of this one: they are cancelled with it.
  friend class ClientContext;
  mutable internal::Mutex mu_;
  mutable ClientContext* children_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace nearcall

#endif  // NEARCALL_SERVER_CONTEXT_H_
