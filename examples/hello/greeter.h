#ifndef NEARCALL_EXAMPLES_HELLO_GREETER_H_
#define NEARCALL_EXAMPLES_HELLO_GREETER_H_

#include "absl/status/status.h"
#include "examples/hello/hello.nearcall.h"

// The service: one method for each rpc of the .proto. Calls run side by side, so what they share needs a lock.
class GreeterImpl final : public helloworld::Greeter::Service {
  absl::Status SayHello(nearcall::ServerContext* /*context*/, const helloworld::HelloRequest* request,
                        helloworld::HelloReply* reply) override {
    if (request->name().empty()) return absl::InvalidArgumentError("whom shall I greet?");
    reply->set_message("Hello, " + request->name() + "!");
    return absl::OkStatus();
  }
};

#endif  // NEARCALL_EXAMPLES_HELLO_GREETER_H_
