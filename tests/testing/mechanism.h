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
  bool credentials = true;          // whether the peer's are known
  bool socket = true;               // whether clients come in through a socket
  bool socket_file = true;          // whether that has a name in the file system
  bool shared_memory = true;        // ServerOptions::allow_shared_memory
  int kept_fds = 0;                 // descriptors that its library keeps from its first use on
  int library_threads = 0;          // that it brings along
  bool writes_fail_at_once = true;  // where there is no server; otherwise a write may pass before that shows
  bool exact_windows = true;        // whether stream_window_bytes is what holds writers back
  bool refuses_calls = true;        // whether a call too many on a connection fails, rather than wait for the others
  bool clean_restarts = true;       // whether calls that meet a server's end are UNAVAILABLE, and never CANCELLED
  bool exact_deadlines = true;      // whether they arrive to the second, however far away they are
  bool attachments = true;          // beside the messages of a call
  bool passes_fds = true;           // and descriptors among them; buffers are mapped then, and not copied
  bool metadata_order = true;       // whether pairs with different keys keep their order

  friend void PrintTo(const Mechanism& mechanism, std::ostream* out) { *out << mechanism.name; }
};

// Every transport, for suites that run over all of them.
const std::vector<Mechanism>& AllMechanisms();
// The same, and gRPC: for programs that link //runtime:grpc.
const std::vector<Mechanism>& AllMechanismsAndGrpc();
// One of each kind, for what is the engine's and does not differ between, say, unix and local: inproc, unix, shm.
const std::vector<Mechanism>& OneMechanismOfEachKind();
// The one of that name. Aborts if there is none.
const Mechanism& MechanismNamed(absl::string_view name);

// For INSTANTIATE_TEST_SUITE_P.
std::string NameOfMechanism(const ::testing::TestParamInfo<Mechanism>& info);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_MECHANISM_H_
