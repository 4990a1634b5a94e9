// Serves Greeter until it is told to stop:
//   server --listen=local:hello,tcp:127.0.0.1:0

#include <signal.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/hello/greeter.h"
#include "nearcall/nearcall.h"

ABSL_FLAG(std::vector<std::string>, listen, {"local:hello"}, "where to listen: addresses, with commas in between");

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  GreeterImpl greeter;
  nearcall::ServerBuilder builder;
  for (const std::string& address : absl::GetFlag(FLAGS_listen)) builder.AddListeningPort(address);
  builder.RegisterService(&greeter);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  // Calls in progress have five seconds to finish; then they are cancelled.
  if (absl::Status status = (*server)->ShutdownOnSignals({SIGINT, SIGTERM}, absl::Seconds(5)); !status.ok()) {
    std::cerr << status << std::endl;
    return 1;
  }
  for (const std::string& address : (*server)->addresses()) std::cout << "listening on " << address << std::endl;
  (*server)->Wait();
  return 0;
}
