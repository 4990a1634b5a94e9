#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_RUNNER_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_RUNNER_H_

#include <deque>
#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace nearcall::grpc_transport {

// The thread that a channel's callbacks run on, started with the first of them. gRPC's own threads are few and serve
// everybody: they are not for code that may block.
//
// Threads: thread-safe.
class Runner {
 public:
  ~Runner() { Stop(); }
  // Has `task` run, after those before it. What comes after Stop is dropped.
  void Post(std::function<void()> task);
  // Ends the thread once it has nothing to do. Not on the thread itself.
  void Stop();
  bool OnItsThread() const;

 private:
  void Loop();

  mutable absl::Mutex mu_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_RUNNER_H_
