#ifndef NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_
#define NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/testing/resources.h"
#include "tests/testing/test_server.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {

// What the suite must know of a transport.
struct Mechanism {
  std::string scheme;               // of its addresses
  std::string carries;              // what ClientContext::transport() is to say
  bool between_processes = true;
  bool credentials = true;          // whether the peer's are known
  bool socket = true;               // whether clients come in through a socket
  bool socket_file = true;          // whether that has a name in the file system
  bool shared_memory = true;        // ServerOptions::allow_shared_memory
};

// How one run of the suite is set up. A test that asks for neither works in all of them.
struct Setup {
  Mechanism mechanism;
  Where server = Where::kThisProcess;
};

// Both places for the server, as far as the transport has them; and a name for each.
std::vector<Setup> SetupsOf(const Mechanism& mechanism);
std::string NameOf(const ::testing::TestParamInfo<Setup>& info);

// The behaviour of every transport. A transport runs the whole suite over itself by
//   INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::ValuesIn(SetupsOf({.scheme = "tcp", ...})), NameOf);
//
// Each test begins with a directory of its own, and ends with the descriptors, threads, mappings and files that it began
// with, on both sides.
class Conformance : public ::testing::TestWithParam<Setup> {
 protected:
  using Stub = std::unique_ptr<TestService::Stub>;

  Conformance();
  ~Conformance() override;
  void TearDown() override;

  const Mechanism& mechanism() const { return GetParam().mechanism; }
  bool server_elsewhere() const { return GetParam().server == Where::kOwnProcess; }

  // An address that nobody has. For tcp: port 0 is for servers alone, and a client's is free but may be taken by others.
  std::string AddressForServer();
  std::string AddressForNobody();
  const std::string& directory() const { return directory_; }

  // Starts a server on a new address, and says what it may not do.
  TestServer* StartServer(ServerOptions options = ServerOptions());
  TestServer* StartServerOn(const std::string& address, ServerOptions options = ServerOptions());
  TestServer* server() const { return servers_.back().get(); }
  const std::string& address() const { return server()->addresses().front(); }
  void EndServer(TestServer* server);
  // For a server that died without tidying up.
  void KillServer(TestServer* server);

  // A stub on a channel of its own to the server that was started last.
  Stub Connect(const ChannelOptions& options = ChannelOptions()) const;
  // One small call that must succeed.
  static void ExpectServes(TestService::Stub* stub);

  // Opens a gate in the server; waits until so many calls have come to it, or have gone on as cancelled.
  static void OpenGate(TestService::Stub* stub, const std::string& gate);
  static GateState Look(TestService::Stub* stub, const std::string& gate);
  static void AwaitAtGate(TestService::Stub* stub, const std::string& gate, int64_t entered);
  static void AwaitCancelled(TestService::Stub* stub, const std::string& gate, int64_t cancelled);
  static GateRequest Gate(const std::string& gate);

 private:
  Resources before_;
  std::string directory_;
  int addresses_made_ = 0;
  bool killed_ = false;
  std::vector<std::unique_ptr<TestServer>> servers_;
  std::vector<Resources> servers_before_;
};

// A message whose bytes all differ from their neighbours, so that a misplaced one shows.
Payload PayloadOf(size_t data_size, int64_t number = 0);
// One that takes exactly so many bytes, from 2.
Payload PayloadOfExactly(size_t serialized_size);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_
