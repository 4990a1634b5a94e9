#ifndef NEARCALL_CLIENT_CONTEXT_H_
#define NEARCALL_CLIENT_CONTEXT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nearcall/call_attachments.h"
#include "nearcall/internal/cancellable.h"
#include "nearcall/internal/mutex.h"
#include "nearcall/metadata.h"
#include "nearcall/peer.h"

namespace nearcall {

class ServerContext;
namespace internal {
class ClientContextAccess;
}  // namespace internal

// What a caller says about one call, and what it learns of it beside the response. One context serves one call: a
// second call with the same context fails with FAILED_PRECONDITION.
//
// Threads: thread-compatible, but for TryCancel(), which any thread may call at any time in the context's life.
// Lifetime: must outlive the call (for an asynchronous call: until its callback has run).
class ClientContext : public CallAttachments {
 public:
  // Not defaulted: in C++20 it would then be a constant expression, for which g++ first clears the whole, slowly.
  ClientContext() {}  // NOLINT(modernize-use-equals-default)
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  // A context for a call made on behalf of the call that `server` serves: it inherits its deadline and its
  // cancellation. `server` must outlive the context.
  static std::unique_ptr<ClientContext> FromServerContext(const ServerContext& server);

  // When the call must be over; DEADLINE_EXCEEDED afterwards. Covers connecting, sending and waiting. Default: never.
  // Wall-clock time is turned into remaining time when the call starts: a clock that jumps later does not matter.
  void set_deadline(absl::Time deadline);
  // The same as a span of time that starts when the call starts.
  void set_timeout(absl::Duration timeout);
  // InfiniteFuture where none is set.
  absl::Time deadline() const;

  // Whether a call waits (to its deadline) for a server that is not there, instead of failing with UNAVAILABLE.
  void set_wait_for_ready(bool wait) { wait_for_ready_ = wait; }
  bool wait_for_ready() const { return wait_for_ready_; }

  // Sends a pair with the request.
  void AddMetadata(absl::string_view key, absl::string_view value) { metadata_.Add(key, value); }
  const Metadata& metadata() const { return metadata_; }

  // Ends the call with CANCELLED if it is not over yet; before the call: it will end so at once. Never blocks for long.
  void TryCancel();

  // After a unary call, or (for the initial ones) after the first message of a stream; empty otherwise.
  const Metadata& GetServerInitialMetadata() const { return server_initial_metadata_; }
  const Metadata& GetServerTrailingMetadata() const { return server_trailing_metadata_; }

  // What carried the call: "shm", "unix", "tcp", "inproc"; empty until a connection was found for it.
  absl::string_view transport() const;
  // The server's address, as nearcall writes it; empty until a connection was found.
  std::string peer() const;

 private:
  friend class internal::ClientContextAccess;

  absl::Time deadline_ = absl::InfiniteFuture();
  absl::Duration timeout_ = absl::InfiniteDuration();
  Metadata metadata_;
  Metadata server_initial_metadata_;
  Metadata server_trailing_metadata_;
  std::shared_ptr<const Peer> peer_;
  const ServerContext* parent_ = nullptr;
  ClientContext* next_sibling_ = nullptr;  // in the parent's list
  bool wait_for_ready_ = false;
  bool used_ = false;

  // Set by TryCancel, read by the thread that waits for the call.
  std::atomic<bool> cancelled_{false};
  internal::Mutex mu_;
  // Whom to wake on TryCancel; there only while they sleep, so that a call that never sleeps never locks.
  internal::Cancellable* sleepers_ ABSL_GUARDED_BY(mu_) = nullptr;
};

// What the short form of a call (`stub->SayHello(request, options)`) can say; a subset of ClientContext.
struct CallOptions {
  absl::Duration timeout = absl::InfiniteDuration();
  absl::Time deadline = absl::InfiniteFuture();
  bool wait_for_ready = false;
  Metadata metadata;

  // Copies the options into `context`.
  void ApplyTo(ClientContext* context) const;
};

}  // namespace nearcall

#endif  // NEARCALL_CLIENT_CONTEXT_H_
