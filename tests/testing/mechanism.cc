#include "tests/testing/mechanism.h"

#include <cstdlib>

namespace nearcall::testing {

const std::vector<Mechanism>& AllMechanisms() {
  static const auto* const all = new std::vector<Mechanism>{
      {.name = "inproc",
       .scheme = "inproc",
       .carries = "inproc",
       .between_processes = false,
       .socket = false,
       .socket_file = false,
       .passes_fds = false},
      {.name = "unix", .scheme = "unix", .carries = "unix"},
      {.name = "unix_abstract", .scheme = "unix-abstract", .carries = "unix", .socket_file = false},
      {.name = "tcp",
       .scheme = "tcp",
       .carries = "tcp",
       .credentials = false,
       .socket_file = false,
       .passes_fds = false},
      {.name = "shm", .scheme = "shm", .carries = "shm"},
      {.name = "local", .scheme = "local", .carries = "shm"},
      // The server grants no ring: the socket carries everything.
      {.name = "local_socket_only", .scheme = "local", .carries = "unix", .shared_memory = false},
  };
  return *all;
}

const std::vector<Mechanism>& AllMechanismsAndGrpc() {
  static const auto* const all = [] {
    auto* const mechanisms = new std::vector<Mechanism>(AllMechanisms());
    mechanisms->push_back({.name = "grpc",
                           .scheme = "grpc",
                           .carries = "grpc",
                           .credentials = false,
                           .socket = false,  // gRPC's own
                           .socket_file = false,
                           .kept_fds = 2,
                           .library_threads = 16,
                           .writes_fail_at_once = false,
                           .exact_windows = false,
                           .refuses_calls = false,
                           .clean_restarts = false,
                           .exact_deadlines = false,
                           .attachments = false,
                           .passes_fds = false,
                           .metadata_order = false});
    return mechanisms;
  }();
  return *all;
}

const std::vector<Mechanism>& OneMechanismOfEachKind() {
  static const auto* const some =
      new std::vector<Mechanism>{MechanismNamed("inproc"), MechanismNamed("unix"), MechanismNamed("shm")};
  return *some;
}

const Mechanism& MechanismNamed(absl::string_view name) {
  for (const Mechanism& mechanism : AllMechanismsAndGrpc()) {
    if (mechanism.name == name) return mechanism;
  }
  abort();
}

std::string NameOfMechanism(const ::testing::TestParamInfo<Mechanism>& info) { return info.param.name; }

}  // namespace nearcall::testing
