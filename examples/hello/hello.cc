// Starts the server of this directory as a process, calls it over every transport, and stops it:
//   ./bazelw run //examples/hello

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "examples/hello/greeter.h"
#include "examples/hello/round_trip.h"
#include "nearcall/nearcall.h"

namespace {

struct ServerProcess {
  pid_t pid = -1;
  std::vector<std::string> addresses;  // as the server printed them
};

// Starts the `server` that lies beside this program, and waits until it listens.
ServerProcess StartServer(const std::vector<std::string>& addresses) {
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof self);
  std::string path(self, length > 0 ? static_cast<size_t>(length) : 0);
  path = absl::StrCat(path.substr(0, path.rfind('/')), "/server");
  const std::string listen = absl::StrCat("--listen=", absl::StrJoin(addresses, ","));

  ServerProcess server;
  int output[2];
  if (pipe(output) != 0) return server;
  server.pid = fork();
  if (server.pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // no server without its client
    dup2(output[1], STDOUT_FILENO);
    close(output[0]);
    close(output[1]);
    execl(path.c_str(), path.c_str(), listen.c_str(), nullptr);
    perror(path.c_str());
    _exit(1);
  }
  close(output[1]);
  FILE* const lines = fdopen(output[0], "r");
  char line[4096];
  while (server.addresses.size() < addresses.size() && fgets(line, sizeof line, lines) != nullptr) {
    absl::string_view address = absl::StripSuffix(line, "\n");
    if (absl::ConsumePrefix(&address, "listening on ")) server.addresses.emplace_back(address);
  }
  fclose(lines);
  return server;
}

// Makes a first call and a thousand others, and prints a line about them.
bool Greet(const std::string& address) {
  std::unique_ptr<helloworld::Greeter::Stub> stub = helloworld::Greeter::NewStub(nearcall::CreateChannel(address));
  helloworld::HelloRequest request;
  request.set_name("world");
  helloworld::HelloReply reply;
  nearcall::ClientContext context;
  context.set_timeout(absl::Seconds(10));
  absl::Status status = stub->SayHello(&context, request, &reply);
  absl::StatusOr<absl::Duration> median = MedianRoundTrip(stub.get(), request, 1000);
  status.Update(median.status());
  if (!status.ok()) {
    std::cerr << address << ": " << status << std::endl;
    return false;
  }
  absl::PrintF("%-40s %-10s %-14s %8.2f us\n", address, context.transport(), reply.message(),
               absl::ToDoubleMicroseconds(*median));
  return true;
}

}  // namespace

int main() {
  char directory[] = "/tmp/nearcall-hello-XXXXXX";
  if (mkdtemp(directory) == nullptr) {
    perror(directory);
    return 1;
  }
  const std::string name = absl::StrCat(directory, "/hello");
  const std::vector<std::string> wanted = {"local:" + name, "shm:" + name, "unix:" + name, "tcp:127.0.0.1:0"};
  const ServerProcess server = StartServer(wanted);
  bool ok = server.addresses.size() == wanted.size();

  absl::PrintF("%-40s %-10s %-14s %s\n", "address", "carried by", "reply", "median of 1000");
  for (const std::string& address : server.addresses) ok = Greet(address) && ok;

  // inproc: connects within one process, so this one serves, too.
  GreeterImpl greeter;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:hello");
  builder.RegisterService(&greeter);
  absl::StatusOr<std::unique_ptr<nearcall::Server>> here = builder.BuildAndStart();
  ok = here.ok() && Greet("inproc:hello") && ok;

  // The server shuts down in order, and takes its socket file with it.
  int outcome = 1;
  if (server.pid > 0) {
    kill(server.pid, SIGTERM);
    waitpid(server.pid, &outcome, 0);
  }
  ok = outcome == 0 && ok;
  if (rmdir(directory) != 0) {
    perror(directory);
    ok = false;
  }
  return ok ? 0 : 1;
}
