#ifndef NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_
#define NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {

// Both places for the server, as far as the transport has them; and a name for each.
std::vector<Setup> SetupsOf(const Mechanism& mechanism);
// The same, and each of them once more with reactors on both sides; where there is one place only, also on either side.
std::vector<Setup> SetupsWithReactorsOf(const Mechanism& mechanism);
std::string NameOf(const ::testing::TestParamInfo<Setup>& info);

// The behaviour of every transport. A transport runs the whole suite over itself by
//   INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::ValuesIn(SetupsOf(MechanismNamed("tcp"))), NameOf);
class Conformance : public TransportTest, public ::testing::WithParamInterface<Setup> {
 protected:
  using Stub = std::unique_ptr<TestService::StubInterface>;

  Conformance() : TransportTest(GetParam()) {}

  bool service_has_reactors() const { return GetParam().service == Form::kReactors; }

  // A stub, of the kind that the setup says.
  static Stub StubOn(std::shared_ptr<Channel> channel);
  // The same on a channel of its own to the server that was started last.
  Stub Connect(const ChannelOptions& options = ChannelOptions()) const;
  // One small call that must succeed.
  static void ExpectServes(TestService::StubInterface* stub);

  // Opens a gate in the server; waits until so many calls have come to it, or have gone on as cancelled.
  static void OpenGate(TestService::StubInterface* stub, const std::string& gate);
  static GateState Look(TestService::StubInterface* stub, const std::string& gate);
  static void AwaitAtGate(TestService::StubInterface* stub, const std::string& gate, int64_t entered);
  static void AwaitCancelled(TestService::StubInterface* stub, const std::string& gate, int64_t cancelled);
  static GateRequest Gate(const std::string& gate);
};

// A message whose bytes all differ from their neighbours, so that a misplaced one shows.
Payload PayloadOf(size_t data_size, int64_t number = 0);
// One that takes exactly so many bytes, from 2.
Payload PayloadOfExactly(size_t serialized_size);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_
