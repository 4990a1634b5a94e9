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
std::string NameOf(const ::testing::TestParamInfo<Setup>& info);

// The behaviour of every transport. A transport runs the whole suite over itself by
//   INSTANTIATE_TEST_SUITE_P(Tcp, Conformance, ::testing::ValuesIn(SetupsOf({.scheme = "tcp", ...})), NameOf);
class Conformance : public TransportTest, public ::testing::WithParamInterface<Setup> {
 protected:
  using Stub = std::unique_ptr<TestService::Stub>;

  Conformance() : TransportTest(GetParam()) {}

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
};

// A message whose bytes all differ from their neighbours, so that a misplaced one shows.
Payload PayloadOf(size_t data_size, int64_t number = 0);
// One that takes exactly so many bytes, from 2.
Payload PayloadOfExactly(size_t serialized_size);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_CONFORMANCE_CONFORMANCE_H_
