#ifndef NEARCALL_RUNTIME_ENGINE_SERVER_CORE_H_
#define NEARCALL_RUNTIME_ENGINE_SERVER_CORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/server.h"
#include "runtime/engine/admission.h"
#include "runtime/engine/inline_runs.h"
#include "runtime/engine/pollable.h"
#include "runtime/engine/poller_role.h"
#include "runtime/engine/reactor.h"
#include "runtime/engine/worker_pool.h"

namespace nearcall {

// How many short runs on a worker bring a method whose handler took long back to the poller, and what counts as short.
inline constexpr int kLongRuns = 64;
inline constexpr uint64_t kShortRunNanos = 50'000;
// Bytes that a handler may move meanwhile, in its messages: that time does not count.
inline constexpr uint64_t kBytesPerNano = 2;

// One method that a server serves.
struct ServedMethod final : PollerRole::LeaseObserver {
  // Here and not only at the handler's end, so that of many calls that block and come at once one alone holds up
  // others.
  void OnLeaseLost() override { TookLong(); }
  void TookLong() { long_runs.store(kLongRuns, std::memory_order_relaxed); }

  std::string name;
  internal::MethodType type;
  internal::MethodHandler* handler;
  // Calls that are to run on a worker rather than on the poller: its handler has taken long lately. A hint; relaxed.
  std::atomic<int> long_runs{0};
  InlineRuns::Method inline_runs;
};

// A connection as the server as a whole sees it.
class ServerConnection : public Pollable {
 public:
  // Asks the caller for no more calls; those that it has begun go on. Poller.
  virtual void BeginDrain() = 0;
  // Cancels every call. Poller.
  virtual void CancelCalls() = 0;
};

// What all listeners and connections of one server share.
//
// Threads: methods and options are constant once the server runs; the rest is the poller's, unless it says otherwise.
class ServerCore {
 public:
  explicit ServerCore(const ServerOptions& options)
      : options_(options),
        admissions_(options_),
        reactor_(options.spin),
        workers_(&reactor_, options.max_handler_threads) {}

  const ServerOptions& options() const { return options_; }
  Reactor* reactor() { return &reactor_; }
  WorkerPool* workers() { return &workers_; }
  InlineRuns* inline_runs() { return &inline_runs_; }

  // Before the server starts. ALREADY_EXISTS for a method that another service has. `handler_of` says what serves a
  // method.
  absl::Status AddService(const Service& service,
                          absl::FunctionRef<internal::MethodHandler*(const Service::Entry&)> handler_of);
  // Before the server starts: `handler` serves the methods that no service has.
  void SetGenericHandler(internal::MethodHandler* handler);
  // nullptr for a method that is not served. Any thread.
  ServedMethod* FindMethod(absl::string_view name) const;
  // What serves the methods that no service has, or nullptr.
  ServedMethod* generic_method() const { return generic_method_.get(); }

  // Whether somebody may connect, as far as the server's options say. Any thread.
  absl::StatusOr<std::shared_ptr<Admission>> Admit(const Peer& peer) { return admissions_.Admit(peer); }
  // A connection that has shaken hands. Any thread.
  void AddConnection(std::shared_ptr<ServerConnection> connection);
  void RemoveConnection(ServerConnection* connection) { connections_.erase(connection); }

  // For max_concurrent_calls, where calls are not a connection's (Admission::calls). A call counts from its request to
  // just before its answer is sent, so that a caller that has its answer never finds itself in the way. Any thread.
  Quota* calls() { return admissions_.calls(); }

  void OnCallBegun() { ++open_calls_; }
  void OnCallEnded() {
    --open_calls_;
    CheckIdle();
  }
  // A call has ended, or something was sent. Poller.
  void CheckIdle() {
    if (open_calls_ == 0 && on_idle_) on_idle_(/*all_sent=*/!reactor_.has_unsent());
  }
  bool draining() const { return draining_; }
  // Has a worker run what the handler of `context` wants to be called when nobody waits any more. Any thread.
  void TellHandler(ServerContext* context);

  // Refuses new calls from now on and calls `on_idle` once no call is open, and again when the last answers are sent.
  // Poller.
  void BeginDrain(std::function<void(bool all_sent)> on_idle);
  // Poller.
  void CancelCalls();

 private:
  const ServerOptions options_;
  Admissions admissions_;  // outlives the connections, which the reactor has
  Reactor reactor_;
  WorkerPool workers_;
  InlineRuns inline_runs_;
  absl::flat_hash_map<std::string, std::unique_ptr<ServedMethod>> methods_;
  std::unique_ptr<ServedMethod> generic_method_;
  absl::flat_hash_set<ServerConnection*> connections_;
  int64_t open_calls_ = 0;
  bool draining_ = false;
  std::function<void(bool)> on_idle_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SERVER_CORE_H_
