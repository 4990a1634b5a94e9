// Calls Greeter:
//   client --address=local:hello --name=world

#include <iostream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/hello/hello.nearcall.h"
#include "examples/hello/round_trip.h"
#include "nearcall/nearcall.h"

ABSL_FLAG(std::string, address, "local:hello", "the server's address");
ABSL_FLAG(std::string, name, "world", "whom to greet");
ABSL_FLAG(int, calls, 1, "how many calls to make; of several, the median round trip is printed");

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  std::shared_ptr<nearcall::Channel> channel = nearcall::CreateChannel(absl::GetFlag(FLAGS_address));
  std::unique_ptr<helloworld::Greeter::Stub> stub = helloworld::Greeter::NewStub(channel);

  helloworld::HelloRequest request;
  request.set_name(absl::GetFlag(FLAGS_name));
  helloworld::HelloReply reply;
  nearcall::ClientContext context;
  context.set_timeout(absl::Seconds(5));
  absl::Status status = stub->SayHello(&context, request, &reply);
  if (!status.ok()) {
    std::cerr << status << std::endl;
    return 1;
  }
  std::cout << reply.message() << " (" << context.peer() << ")" << std::endl;

  const int calls = absl::GetFlag(FLAGS_calls);
  if (calls > 1) {
    absl::StatusOr<absl::Duration> median = MedianRoundTrip(stub.get(), request, calls);
    if (!median.ok()) {
      std::cerr << median.status() << std::endl;
      return 1;
    }
    std::cout << "median round trip of " << calls << " calls: " << *median << std::endl;
  }
  return 0;
}
