#ifndef NEARCALL_TESTS_DEATH_CALLS_H_
#define NEARCALL_TESTS_DEATH_CALLS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "nearcall/nearcall.h"
#include "tests/death/notebook.h"

namespace nearcall::testing {

// The calls in which processes die. Each carries a number, under which its handler notes that it runs.
enum class Call {
  kSmall,     // unary, one frame each way
  kLarge,     // unary, more than shared memory or a socket holds, each way
  kStream,    // a few messages each way, one of them large
  kConnect,   // a small one, on a new connection
  kAttached,  // a small one with buffers, and with a descriptor where the transport passes them, each way
};
inline constexpr Call kAllCalls[] = {Call::kSmall, Call::kLarge, Call::kStream, Call::kConnect, Call::kAttached};
const char* NameOf(Call call);

struct Outcome {
  absl::Status status;
  bool right = true;  // whatever was answered was the answer to this call
};
Outcome Make(Call call, const std::shared_ptr<Channel>& channel, int number,
             absl::Duration timeout = absl::InfiniteDuration(), bool wait_for_ready = false);

// A server of the counted service, which answers such calls, in this process.
class CountedServer {
 public:
  CountedServer(const std::string& address, Notebook* notebook);
  ~CountedServer();
  const std::string& address() const { return server_->addresses().front(); }
  Server* server() { return server_.get(); }

 private:
  std::unique_ptr<Service> service_;
  std::unique_ptr<Server> server_;
};

// Roles of child processes (process.h), both told "break STEP STRIKE" (a step's name or "all"; a Strike as a number),
// and telling "ok":
//   counted_server ADDRESS NOTEBOOK  tells "ready ADDRESS"; told "drain" shuts down, tells "drained", and ends
//   counted_client ADDRESS NOTEBOOK CALL NUMBER  is connected already, but for kConnect; tells "ready"; told "go" makes
//                                    the call and tells its status, and "wrong" before it if the answer was

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_DEATH_CALLS_H_
