#ifndef NEARCALL_TESTS_TESTING_MECHANISM_H_
#define NEARCALL_TESTS_TESTING_MECHANISM_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace nearcall::testing {

// What a test must know of a transport.
struct Mechanism {
  std::string name;     // in the names of tests
  std::string scheme;   // of its addresses
  std::string carries;  // what ClientContext::transport() is to say
  bool between_processes = true;
  bool credentials = true;    // whether the peer's are known
  bool socket = true;         // whether clients come in through a socket
  bool socket_file = true;    // whether that has a name in the file system
  bool shared_memory = true;  // ServerOptions::allow_shared_memory

  friend void PrintTo(const Mechanism& mechanism, std::ostream* out) { *out << mechanism.name; }
};

// Every transport, for suites that run over all of them.
const std::vector<Mechanism>& AllMechanisms();
// One of each kind, for what is the engine's and does not differ between, say, unix and local: inproc, unix, shm.
const std::vector<Mechanism>& OneMechanismOfEachKind();
// The one of that name. Aborts if there is none.
const Mechanism& MechanismNamed(absl::string_view name);

// For INSTANTIATE_TEST_SUITE_P.
std::string NameOfMechanism(const ::testing::TestParamInfo<Mechanism>& info);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_MECHANISM_H_
