// The wall clock jumps a year, to and fro, and nobody who waits notices.

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace {
// By which the wall clock of this process is wrong, in seconds.
std::atomic<int64_t> jump{0};
}  // namespace

// In the executable, where it is found before libc's.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  const long result = syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += jump;
  return static_cast<int>(result);
}

namespace nearcall::testing {
namespace {

constexpr int64_t kYear = int64_t{365} * 24 * 3600;

class WallClock : public TransportTest, public ::testing::WithParamInterface<Mechanism> {
 protected:
  WallClock() : TransportTest({GetParam(), Where::kThisProcess}) {}
  ~WallClock() override { jump = 0; }
};

TEST_P(WallClock, ThatJumpsIsTheOneThatPeopleRead) {
  const absl::Time before = absl::Now();
  jump = kYear;
  EXPECT_GT(absl::Now() - before, absl::Hours(24 * 300));
}

TEST_P(WallClock, JumpsAndCallsGoOnToTheirDeadlines) {
  StartServer();
  for (const int64_t by : {kYear, -kYear}) {
    SCOPED_TRACE(by);
    const auto stub = TestService::NewStub(CreateChannel(address()));
    ASSERT_TRUE(stub->Echo(Payload()).ok());
    const auto call = [&](const std::string& gate, absl::Duration timeout) {
      CallOptions options;
      options.timeout = timeout;
      GateRequest request;
      request.set_gate(gate + std::to_string(by));
      return stub->Block(request, options).status();
    };
    absl::Status patient, hurried;
    std::thread one([&] { patient = call("patient", absl::Hours(1)); });
    std::thread two([&] { hurried = call("hurried", absl::Milliseconds(300)); });
    GateRequest gate;
    gate.set_gate("patient" + std::to_string(by));
    Await([&] { return stub->Look(gate)->entered() == 1; });
    jump = by;
    two.join();
    EXPECT_TRUE(absl::IsDeadlineExceeded(hurried)) << hurried;
    EXPECT_EQ(stub->Look(gate)->left(), 0) << "the other one was ended, too";
    ASSERT_TRUE(stub->Open(gate).ok());
    one.join();
    EXPECT_TRUE(patient.ok()) << patient;
    jump = 0;
  }
}

TEST_P(WallClock, JumpsWhileAClientWaitsForItsServerAndAServerDrains) {
  for (const int64_t by : {kYear, -kYear}) {
    SCOPED_TRACE(by);
    const std::string address = AddressForNobody();
    const auto stub = TestService::NewStub(CreateChannel(address));
    CallOptions wait;
    wait.wait_for_ready = true;
    absl::Status status;
    std::thread caller([&] { status = stub->Echo(Payload(), wait).status(); });
    jump = by;
    TestServer* const server = StartServerOn(address);
    caller.join();
    EXPECT_TRUE(status.ok()) << status;
    std::thread blocked([&] {
      GateRequest gate;
      gate.set_gate("gate");
      status = stub->Block(gate).status();
    });
    GateRequest gate;
    gate.set_gate("gate");
    Await([&] { return stub->Look(gate)->entered() == 1; });
    jump = 0;
    server->Shutdown(absl::Milliseconds(50));
    blocked.join();
    EXPECT_TRUE(absl::IsCancelled(status)) << status;
    EndServer(server);
  }
}

INSTANTIATE_TEST_SUITE_P(All, WallClock, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
