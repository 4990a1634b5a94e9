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
       .socket_file = false},
      {.name = "unix", .scheme = "unix", .carries = "unix"},
      {.name = "unix_abstract", .scheme = "unix-abstract", .carries = "unix", .socket_file = false},
      {.name = "tcp", .scheme = "tcp", .carries = "tcp", .credentials = false, .socket_file = false},
      {.name = "shm", .scheme = "shm", .carries = "shm"},
      {.name = "local", .scheme = "local", .carries = "shm"},
      // The server grants no ring: the socket carries everything.
      {.name = "local_socket_only", .scheme = "local", .carries = "unix", .shared_memory = false},
  };
  return *all;
}

const std::vector<Mechanism>& OneMechanismOfEachKind() {
  static const auto* const some =
      new std::vector<Mechanism>{MechanismNamed("inproc"), MechanismNamed("unix"), MechanismNamed("shm")};
  return *some;
}

const Mechanism& MechanismNamed(absl::string_view name) {
  for (const Mechanism& mechanism : AllMechanisms()) {
    if (mechanism.name == name) return mechanism;
  }
  abort();
}

std::string NameOfMechanism(const ::testing::TestParamInfo<Mechanism>& info) { return info.param.name; }

}  // namespace nearcall::testing
