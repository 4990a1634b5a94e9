#ifndef NEARCALL_TESTS_TESTING_GATES_H_
#define NEARCALL_TESTS_TESTING_GATES_H_

#include <functional>
#include <map>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/server_context.h"
#include "protos/testing/test_service.pb.h"

namespace nearcall::testing {

// The gates of test_service.proto: each is closed until it is opened, and counts who comes and goes.
//
// Threads: thread-safe.
class Gates {
 public:
  // One that waits at a gate without a thread.
  class Waiter {
   public:
    // On the thread that opens the gate, under no lock.
    virtual void OnOpen() = 0;

   protected:
    ~Waiter() = default;
  };

  // Blocks until the gate is open or the call of `context` is cancelled.
  GateState Pass(ServerContext* context, const std::string& gate);

  // True: the gate is open. False: `waiter` will be told, once, unless it withdraws before. Who is through Leaves.
  bool Enter(const std::string& gate, Waiter* waiter);
  // True: `waiter` will not be told. False: it has been, or is just being told.
  bool Withdraw(const std::string& gate, Waiter* waiter);
  GateState Leave(const std::string& gate, bool cancelled);

  GateState Open(const std::string& gate);
  GateState Look(const std::string& gate);
  // Counts one that enters and does not wait.
  void CountEntered(const std::string& gate);

 private:
  struct Gate {
    bool open = false;
    GateState state;
    std::set<Waiter*> waiters;
  };
  static void CountLeft(Gate* gate, bool cancelled);

  absl::Mutex mu_;
  absl::CondVar changed_;
  std::map<std::string, Gate> gates_ ABSL_GUARDED_BY(mu_);
};

// One call's way through a gate, without a thread.
//
// Threads: Begin and Cancel are the reactor's, called in its reactions or its method, so that it is there until they
// return; what Begin is given may run on the thread that opens the gate.
class Passage final : private Gates::Waiter {
 public:
  Passage(Gates* gates, ServerContext* context) : gates_(gates), context_(context) {}

  // Runs `through` once, now or later: when the gate is open or the call cancelled.
  void Begin(const std::string& gate, std::function<void(const GateState&)> through);
  // The call was cancelled.
  void Cancel();

 private:
  void OnOpen() override { Leave(); }
  void Leave();

  Gates* const gates_;
  ServerContext* const context_;
  bool begun_ = false;
  std::string gate_;
  std::function<void(const GateState&)> through_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_GATES_H_
