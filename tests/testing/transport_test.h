#ifndef NEARCALL_TESTS_TESTING_TRANSPORT_TEST_H_
#define NEARCALL_TESTS_TESTING_TRANSPORT_TEST_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/testing/mechanism.h"
#include "tests/testing/resources.h"
#include "tests/testing/test_server.h"

namespace nearcall::testing {

// How one run of a suite is set up. A test that asks for neither works in all of them.
struct Setup {
  Mechanism mechanism;
  Where server = Where::kThisProcess;
  Form service = Form::kBlocking;
  Form stub = Form::kBlocking;  // how the client makes its calls

  friend void PrintTo(const Setup& setup, std::ostream* out) { *out << setup.mechanism.name; }
};

// A test that serves and calls over one transport. It begins with a directory of its own, and ends with the
// descriptors, threads, mappings and files that it began with, on both sides.
class TransportTest : public ::testing::Test {
 protected:
  explicit TransportTest(testing::Setup setup);
  ~TransportTest() override;
  void TearDown() override;

  const Mechanism& mechanism() const { return setup_.mechanism; }
  bool server_elsewhere() const { return setup_.server == Where::kOwnProcess; }

  // An address that nobody has. For tcp: port 0 is for servers alone, and a client's is free but may be taken by
  // others.
  std::string AddressForServer();
  std::string AddressForNobody();
  const std::string& directory() const { return directory_; }

  // Starts a server on a new address, and says what it may not do. Where a fault is in force, it has the fault's
  // options.
  TestServer* StartServer(ServerOptions options = ServerOptions());
  TestServer* StartServerOn(const std::string& address, ServerOptions options = ServerOptions());
  TestServer* server() const { return servers_.back().get(); }
  const std::string& address() const { return server()->addresses().front(); }
  void EndServer(TestServer* server);
  // For a server that died without tidying up.
  void KillServer(TestServer* server);

 private:
  const testing::Setup setup_;
  Resources before_;
  std::string directory_;
  int addresses_made_ = 0;
  bool killed_ = false;
  std::vector<std::unique_ptr<TestServer>> servers_;
  std::vector<Resources> servers_before_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_TRANSPORT_TEST_H_
