// Many calls under way at once from one thread: the asynchronous form of a call returns at once and runs a callback
// later, exactly once.
//
// Server and client are in one process, to have them side by side; over another address nothing would differ.

#include <iostream>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/time.h"
#include "examples/hello/greeter.h"
#include "nearcall/nearcall.h"

namespace {

// What a call needs until its callback has run.
struct Call {
  nearcall::ClientContext context;
  helloworld::HelloRequest request;
  helloworld::HelloReply reply;
  absl::Status status;
};

}  // namespace

int main() {
  GreeterImpl greeter;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:async");
  builder.RegisterService(&greeter);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  std::unique_ptr<helloworld::Greeter::Stub> stub =
      helloworld::Greeter::NewStub(nearcall::CreateChannel("inproc:async"));

  const int count = 10;
  std::vector<Call> calls(count);
  absl::BlockingCounter under_way(count);
  for (int i = 0; i < count; ++i) {
    Call& call = calls[i];
    call.context.set_timeout(absl::Seconds(10));
    call.request.set_name(absl::StrCat("caller ", i));
    // The callback runs on a thread of the channel's, and must not block it for long. It may start the next call.
    stub->async()->SayHello(&call.context, &call.request, &call.reply, [&call, &under_way](absl::Status status) {
      call.status = status;
      under_way.DecrementCount();
    });
  }
  under_way.Wait();

  bool ok = true;
  for (const Call& call : calls) {
    ok = ok && call.status.ok();
    std::cout << (call.status.ok() ? call.reply.message() : call.status.ToString()) << std::endl;
  }
  return ok ? 0 : 1;
}
