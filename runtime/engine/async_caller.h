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
#include "runtime/engine/async_call.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/reactor.h"

namespace nearcall {

// A channel's asynchronous calls: one thread, started with the first of them. It begins the calls, polls while any is
// under way, runs the callbacks, and ends what is cancelled or late. It also polls where no call is under way any more,
// but something of one has still to be sent. A callback that starts the next call does so on
// this very thread: then nothing is handed over, and many calls in flight cost one system call among them, or none.
//
// Threads: thread-safe.
class AsyncCaller {
 public:
  // Whether there is a connection right now.
  using Connected = std::function<bool()>;
  // Finds a connection for a call; blocks, if the call is to wait for its server, to its deadline or cancellation.
  using Connect = std::function<absl::StatusOr<std::shared_ptr<ClientConnection>>(AsyncCall* call)>;
  // Says whether a call that ended so is to be made again.
  using MayRetry = std::function<bool(const internal::Method& method, const CallOutcome& outcome, int attempts)>;

  AsyncCaller(Reactor* reactor, Connected connected, Connect connect, MayRetry may_retry)
      : reactor_(reactor),
        connected_(std::move(connected)),
        connect_(std::move(connect)),
        may_retry_(std::move(may_retry)) {}

  // Cancels what is under way and waits for its callbacks. Once, before the destructor, not on their thread.
  void Stop();
  // Whether the calling thread is the one that runs the callbacks.
  bool OnItsThread() const;
  // Begins a call; with `refused` other than OK it only ends, with that.
  void Start(std::unique_ptr<AsyncCall> call, absl::Status refused = absl::OkStatus());

  // Polls until the reactor has nothing unsent. Any thread.
  void KeepPolling();

  // --- For its calls, any thread ---
  // The call has moved: it will be looked at.
  void Enqueue(AsyncCall* call);
  // Some call was cancelled.
  void OnCancelled();

 private:
  struct ToStart {
    std::unique_ptr<AsyncCall> call;
    absl::Status refused;
  };

  void Wake();
  void Loop();
  void Adopt(ToStart start);
  void Send(AsyncCall* call);
  // Looks at a call; ends it, if it is over, or makes it again.
  void Look(AsyncCall* call);
  void Complete(AsyncCall* call, absl::Status status);
  // Ends the calls that are cancelled or late.
  void EndDue();
  // Has a thread wait for the server on behalf of the first call that does. The others follow when it has come.
  void WaitForServer();
  // That thread has ended.
  void OnWaited();

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
  std::vector<ToStart> to_start_ ABSL_GUARDED_BY(mu_);
  std::vector<AsyncCall*> moved_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
  bool waited_ ABSL_GUARDED_BY(mu_) = false;

  // The thread's own.
  absl::flat_hash_set<AsyncCall*> open_;
  std::multimap<int64_t, AsyncCall*> deadlines_;
  std::vector<AsyncCall*> waiting_;     // for their server
  AsyncCall* waiting_first_ = nullptr;  // the one that waiter_ waits for; not in waiting_
  absl::Status wait_status_;            // what became of it
  std::thread waiter_;
  bool ending_ = false;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_ASYNC_CALLER_H_
