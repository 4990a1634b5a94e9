// The server of the interoperability tests, until it is told to stop:
//   server --listen=local:interop,tcp:127.0.0.1:0

#include <pthread.h>
#include <signal.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "nearcall/nearcall.h"
#include "tests/interop/interop_service.h"

ABSL_FLAG(std::vector<std::string>, listen, {"local:interop"}, "where to listen: addresses, with commas in between");

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  // Before the server starts its threads: main waits for the signal.
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  nearcall::interop::InteropService service;
  nearcall::ServerBuilder builder;
  for (const std::string& address : absl::GetFlag(FLAGS_listen)) builder.AddListeningPort(address);
  builder.RegisterService(&service);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  for (const std::string& address : (*server)->addresses()) std::cout << "listening on " << address << std::endl;

  int signal;
  sigwait(&stop, &signal);
  (*server)->Shutdown(absl::Now() + absl::Seconds(5));
  return 0;
}
