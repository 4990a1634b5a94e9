#ifndef NEARCALL_RUNTIME_ENGINE_ASYNC_CALLER_H_
#define NEARCALL_RUNTIME_ENGINE_ASYNC_CALLER_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/cancellable.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/pending_call.h"
#include "runtime/engine/reactor.h"

namespace nearcall {

class AsyncCaller;

// One asynchronous unary call: an object of its own from its start until its callback has run.
struct AsyncUnary final : PendingCall, internal::Cancellable {
  AsyncUnary(ClientContext* context, internal::InMessage response) : PendingCall(context, response) {}
  void OnCancel() override;

  AsyncCaller* caller = nullptr;
  const internal::Method* method = nullptr;
  internal::OutMessage request;
  int64_t deadline = kNever;
  std::function<void(absl::Status)> done;
  absl::Status refused;                          // not OK: the call cannot be made at all
  std::shared_ptr<ClientConnection> connection;  // that it was started on
  int attempts = 0;
};

// A channel's asynchronous calls: one thread, started with the first of them. It sends the requests, polls while any
// call is under way, runs the callbacks, and ends what is cancelled or late. A callback that starts the next call does
// so on this very thread: then nothing is handed over, and many calls in flight cost one system call among them, or
// none.
//
// Threads: thread-safe.
class AsyncCaller {
 public:
  // Whether there is a connection right now.
  using Connected = std::function<bool()>;
  // Finds a connection for a call; blocks, if the call is to wait for its server, to its deadline or cancellation.
  using Connect = std::function<absl::StatusOr<std::shared_ptr<ClientConnection>>(AsyncUnary* call)>;
  // Says whether a call that ended so is to be made again.
  using MayRetry = std::function<bool(const AsyncUnary& call, const CallOutcome& outcome)>;

  AsyncCaller(Reactor* reactor, Connected connected, Connect connect, MayRetry may_retry)
      : reactor_(reactor),
        connected_(std::move(connected)),
        connect_(std::move(connect)),
        may_retry_(std::move(may_retry)) {}

  // Cancels what is under way and waits for its callbacks. Once, before the destructor, not on their thread.
  void Stop();
  // Whether the calling thread is the one that runs the callbacks.
  bool OnItsThread() const;
  void Start(std::unique_ptr<AsyncUnary> call);

 private:
  friend struct AsyncUnary;

  void Wake();
  void Loop();
  void Send(AsyncUnary* call);
  void Finish(AsyncUnary* call);
  void Complete(AsyncUnary* call, absl::Status status);
  // Ends the calls that are cancelled or late.
  void EndDue();
  // Has a thread wait for the server on behalf of the first call that does. The others follow when it has come.
  void WaitForServer();
  // That thread has ended.
  void OnWaited();
  static void OnDone(PendingCall* call);

  Reactor* const reactor_;
  const Connected connected_;
  const Connect connect_;
  const MayRetry may_retry_;
  WaitSpot spot_;
  // Whether the thread has something to do besides polling. Set after what it announces, cleared before that is looked
  // at.
  std::atomic<bool> has_events_{false};
  std::atomic<bool> has_cancelled_{false};

  absl::Mutex mu_;
  absl::CondVar work_;
  std::vector<std::unique_ptr<AsyncUnary>> to_start_ ABSL_GUARDED_BY(mu_);
  std::vector<AsyncUnary*> over_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
  bool waited_ ABSL_GUARDED_BY(mu_) = false;

  // The thread's own.
  absl::flat_hash_set<AsyncUnary*> open_;
  std::multimap<int64_t, AsyncUnary*> deadlines_;
  std::vector<AsyncUnary*> waiting_;     // for their server
  AsyncUnary* waiting_first_ = nullptr;  // the one that waiter_ waits for; not in waiting_
  absl::Status wait_status_;             // what became of it
  std::thread waiter_;
  bool ending_ = false;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_ASYNC_CALLER_H_
