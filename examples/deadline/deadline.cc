// How a call ends before its answer is there: by its deadline, or because the caller gives it up.
//
// Server and client are in one process, to have them side by side; over another address nothing would differ.

#include <iostream>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "examples/hello/hello.nearcall.h"
#include "nearcall/nearcall.h"

namespace {

using helloworld::Greeter;
using helloworld::HelloReply;
using helloworld::HelloRequest;

// Never gets done by itself. A handler that works for long asks now and then whether anybody still waits for it.
class SlowGreeter final : public Greeter::Service {
 public:
  absl::Notification started;

 private:
  absl::Status SayHello(nearcall::ServerContext* context, const HelloRequest*, HelloReply*) override {
    if (!started.HasBeenNotified()) started.Notify();
    while (!context->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
    return absl::CancelledError("nobody waits for this any more");
  }
};

}  // namespace

int main() {
  SlowGreeter greeter;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:deadline");
  builder.RegisterService(&greeter);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  std::unique_ptr<Greeter::Stub> stub = Greeter::NewStub(nearcall::CreateChannel("inproc:deadline"));

  // A deadline covers everything: connecting, sending, waiting. Without one a call waits for ever.
  HelloReply reply;
  nearcall::ClientContext short_call;
  short_call.set_timeout(absl::Milliseconds(20));
  const absl::Status late = stub->SayHello(&short_call, HelloRequest(), &reply);
  std::cout << late << std::endl;

  // The short form of a call takes a timeout, too.
  nearcall::CallOptions options;
  options.timeout = absl::Milliseconds(20);
  const absl::StatusOr<HelloReply> late_too = stub->SayHello(HelloRequest(), options);
  std::cout << late_too.status() << std::endl;

  // Any thread may give a call up.
  nearcall::ClientContext long_call;
  std::thread other([&] {
    greeter.started.WaitForNotification();
    long_call.TryCancel();
  });
  const absl::Status given_up = stub->SayHello(&long_call, HelloRequest(), &reply);
  std::cout << given_up << std::endl;
  other.join();

  const bool as_expected =
      absl::IsDeadlineExceeded(late) && absl::IsDeadlineExceeded(late_too.status()) && absl::IsCancelled(given_up);
  return as_expected ? 0 : 1;
}
