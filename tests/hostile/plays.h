#ifndef NEARCALL_TESTS_HOSTILE_PLAYS_H_
#define NEARCALL_TESTS_HOSTILE_PLAYS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "protos/testing/test_service.nearcall.h"
#include "runtime/services/latency_histogram.h"
#include "tests/hostile/script.h"

namespace nearcall::testing {

// How a script is played, and who is there while it is.

// Plays it once against the server at `address`, which has the script's options. `meanwhile` is called while its
// connection, if it has one, is still there. What does not come of it as it must fails the test.
void PlayToServer(const std::string& address, const ClientScript& script, absl::FunctionRef<void()> meanwhile);

// Serves whoever comes to it by the script.
std::unique_ptr<RawServer> HostileServerOf(const std::string& address, const ServerScript& script);
// The call that a client makes to that.
void CallHostileServer(const std::string& address, const ServerScript& script);

// Somebody who means well, and calls all the time. A call of its own that fails, fails the test.
class GoodClient {
 public:
  explicit GoodClient(const std::string& address);
  ~GoodClient();
  // Until so many more of its calls are over.
  void AwaitMore(int64_t calls = 10);
  // From here on the times of its calls, but of so many at most, go into these, which the caller keeps until it says
  // otherwise.
  void Time(std::vector<LatencyHistogram*> histograms, int64_t calls = 0);

 private:
  void Call();

  const std::unique_ptr<TestService::Stub> stub_;
  std::atomic<int64_t> calls_{0};
  absl::Mutex mu_;
  std::vector<LatencyHistogram*> histograms_ ABSL_GUARDED_BY(mu_);
  int64_t to_be_timed_ ABSL_GUARDED_BY(mu_) = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_HOSTILE_PLAYS_H_
