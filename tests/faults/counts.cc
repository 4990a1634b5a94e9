#include "tests/faults/counts.h"

#include <memory>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/faults.nearcall.h"
#include "tests/testing/fault.h"
#include "tests/testing/services.h"

namespace nearcall::testing {
namespace {

class FaultsImpl final : public Faults::Service {
  absl::Status Count(ServerContext*, const CountRequest*, FaultCounts* response) override {
    *response = CountsSoFar();
    return absl::OkStatus();
  }
};

const ServiceRegistration registration([](Form) -> std::unique_ptr<Service> { return std::make_unique<FaultsImpl>(); });

// Runs after the last test.
class FaultsHaveStruck final : public ::testing::Environment {
  void TearDown() override {
    if (::testing::UnitTest::GetInstance()->successful_test_count() == 0) return;  // a shard without work
    const FaultCounts so_far = CountsSoFar();
    switch (FaultInForce()) {
      case Fault::kOneByte:
      case Fault::kFewBytes:
        EXPECT_GT(so_far.one_byte_reads(), 0);
        EXPECT_GT(so_far.one_byte_writes(), 0);
        EXPECT_GT(so_far.interruptions(), 0);
        EXPECT_GT(so_far.refusals(), 0);
        break;
      case Fault::kDelays:
        EXPECT_GT(so_far.delays(), 0);
        break;
      case Fault::kTinyCredit:
      case Fault::kNone:
        break;
    }
    printf("faults: %s\n", so_far.ShortDebugString().c_str());
  }
};

::testing::Environment* const environment = ::testing::AddGlobalTestEnvironment(new FaultsHaveStruck);

}  // namespace

FaultCounts CountsSoFar() {
  FaultCounts result;
  result.set_one_byte_reads(counts.one_byte_reads);
  result.set_one_byte_writes(counts.one_byte_writes);
  result.set_interruptions(counts.interruptions);
  result.set_refusals(counts.refusals);
  result.set_delays(counts.delays);
  return result;
}

}  // namespace nearcall::testing
