#ifndef NEARCALL_RUNTIME_ENGINE_WORKER_POOL_H_
#define NEARCALL_RUNTIME_ENGINE_WORKER_POOL_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/parker.h"
#include "runtime/engine/reactor.h"

namespace nearcall {

// Work for a thread that may block.
class Runnable {
 public:
  virtual void RunOnWorker() = 0;

 protected:
  ~Runnable() = default;
};

// A server's threads. One polls and runs short handlers itself; one stands by, looks now and then (kTick) whether the
// poller is held up in a handler, and then takes the role of poller over; the others run handlers that were found to be
// long, or wait for work, and leave after a while without any. When nothing happens, all of them sleep without a timer.
//
// Threads: thread-safe.
class WorkerPool {
 public:
  // At most `max_handlers` threads run handlers at once; -1: no limit.
  WorkerPool(Reactor* reactor, int max_handlers);
  // Stop must have been called.
  ~WorkerPool();

  // RESOURCE_EXHAUSTED when there is no thread to begin with.
  absl::Status Start();
  // Runs `work` on a thread of the pool, which may block. A pool that has stopped drops it.
  void Submit(Runnable* work);
  // The same for what is not a handler, and must not wait for one.
  void SubmitErrand(Runnable* errand);
  // The same for what ought to be short, like a reactor's reactions: however much of it there is, it takes few threads,
  // and one more for each tick in which none of them gets on.
  void SubmitShort(Runnable* work);
  // A handler is about to run on the poller's own thread: whether it may, or must wait its turn (Submit). Leave
  // follows.
  bool Enter() {
    if (max_handlers_ < 0) return true;
    if (handlers_.fetch_add(1, std::memory_order_acq_rel) < max_handlers_) return true;
    handlers_.fetch_sub(1, std::memory_order_acq_rel);
    return false;
  }
  void Leave() {
    if (max_handlers_ >= 0) LeaveLimited();
  }
  // Ends all threads, after the work that was submitted is done; blocks until then. Not from a thread of the pool.
  void Stop();

 private:
  // How often the standby thread looks whether the poller is held up: first, and when a handler runs as it looks; less
  // and less often while it looks in vain. Each look takes the CPU that it comes to from what runs there.
  static constexpr int64_t kTick = 1'000'000;
  static constexpr int64_t kMaxTick = 4'000'000;
  // Ticks without activity after which the standby thread sleeps without a timer.
  static constexpr int kQuietTicks = 4;
  // Where the kernel has no membarrier it sleeps with a slow timer instead.
  static constexpr int64_t kTickWithoutBarrier = 100'000'000;
  static constexpr int64_t kIdleNanos = 2'000'000'000;
  // How many threads are woken for short work.
  static constexpr int kShortThreads = 4;

  void LeaveLimited();
  // Whether some work waits that may run now.
  bool HasWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !errands_.empty() || ((!work_.empty() || !short_work_.empty()) && HasRoom());
  }
  bool HasRoom() const { return max_handlers_ < 0 || handlers_.load(std::memory_order_acquire) < max_handlers_; }
  // What the standby thread must not doze on.
  bool HasUnattendedWork() const {
    return has_short_work_.load(std::memory_order_seq_cst) || wants_thread_.load(std::memory_order_seq_cst);
  }
  // What a thread of the pool has taken up.
  enum class Kind { kNone, kErrand, kHandler, kShort };
  // The next piece of work, if it may run now; *kind says of which kind it and the last one were.
  Runnable* Take(Kind* kind);
  // A thread has come that was woken, or started.
  void HasCome() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (short_waking_ > 0) --short_waking_;
  }
  // By the standby thread, once a tick: whether short work has got on since `*seen`; has another thread take it if not.
  void HelpShortWork(uint64_t* seen);
  void Loop();
  void Poll();
  // Takes the place of the standby thread, if it is vacant, until there is something else to do.
  bool StandBy();
  bool ParkIdle();
  void WakeStandby();
  // Wakes or starts a thread that takes up what there is to do. False: the kernel gives us none now; the poller and the
  // standby thread try again.
  bool WakeOne() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TryAgainToWakeOne();
  void JoinFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool OnVacant();
  bool stopping() const { return stopping_.load(std::memory_order_seq_cst); }

  Reactor* const reactor_;
  const int max_handlers_;
  std::atomic<int> handlers_{0};  // that run, if there is a limit; what waits is looked at after it sinks, under mu_
  std::atomic<bool> stopping_{false};

  absl::Mutex mu_;
  std::deque<Runnable*> work_ ABSL_GUARDED_BY(mu_);
  std::deque<Runnable*> errands_ ABSL_GUARDED_BY(mu_);
  std::deque<Runnable*> short_work_ ABSL_GUARDED_BY(mu_);
  int short_running_ ABSL_GUARDED_BY(mu_) = 0;     // threads that are at it
  int short_waking_ ABSL_GUARDED_BY(mu_) = 0;      // threads that were woken for it and have not come yet
  uint64_t short_taken_ ABSL_GUARDED_BY(mu_) = 0;  // pieces, ever
  // Whether there is short work. Set before the standby thread is woken, looked at before it dozes.
  std::atomic<bool> has_short_work_{false};
  // Whether a thread is to be started that could not be. Looked at like has_short_work_.
  std::atomic<bool> wants_thread_{false};
  std::vector<Parker*> idle_ ABSL_GUARDED_BY(mu_);
  Parker* standby_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::vector<std::thread> running_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> finished_ ABSL_GUARDED_BY(mu_);  // to be joined
  absl::CondVar one_finished_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_WORKER_POOL_H_
