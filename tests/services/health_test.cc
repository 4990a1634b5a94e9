// The health service, as a prober sees it.

#include "nearcall/health.h"

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.nearcall.h"
#include "grpc/health/v1/health.pb.h"
#include "tests/services/fixture.h"

namespace nearcall::testing {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::health::v1::HealthListRequest;
using grpc::health::v1::HealthListResponse;
using ::testing::ElementsAre;
using ::testing::Pair;

constexpr char kTestService[] = "nearcall.testing.TestService";
constexpr char kHealth[] = "grpc.health.v1.Health";

class HealthTest : public ServicesTest {
 protected:
  void StartWithHealth() {
    builder_.EnableHealthCheckService();
    Start();
    health_ = server_->GetHealthCheckService();
    ASSERT_NE(health_, nullptr);
    stub_ = StubOf<Health>();
  }
  void TearDown() override {
    stub_ = nullptr;
    ServicesTest::TearDown();
  }

  // "SERVING" and so on, or the code of the answer.
  std::string Check(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    const absl::StatusOr<HealthCheckResponse> response = stub_->Check(request);
    if (!response.ok()) return absl::StatusCodeToString(response.status().code());
    return HealthCheckResponse::ServingStatus_Name(response->status());
  }
  std::map<std::string, std::string> List() {
    const absl::StatusOr<HealthListResponse> response = stub_->List(HealthListRequest());
    EXPECT_TRUE(response.ok()) << response.status();
    std::map<std::string, std::string> list;
    if (!response.ok()) return list;
    for (const auto& [name, one] : response->statuses()) {
      list[name] = HealthCheckResponse::ServingStatus_Name(one.status());
    }
    return list;
  }

  HealthCheckService* health_ = nullptr;
  std::unique_ptr<Health::Stub> stub_;
};

TEST_P(HealthTest, OffUnlessAskedFor) {
  Start();
  EXPECT_EQ(server_->GetHealthCheckService(), nullptr);
  EXPECT_EQ(StubOf<Health>()->Check(HealthCheckRequest()).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_P(HealthTest, WhatIsRegisteredStartsAsServing) {
  StartWithHealth();
  EXPECT_EQ(Check(""), "SERVING");
  EXPECT_EQ(Check(kTestService), "SERVING");
  EXPECT_EQ(Check("nearcall.testing.AbsentService"), "NOT_FOUND");
  EXPECT_EQ(Check("nearcall.testing"), "NOT_FOUND");
  EXPECT_THAT(List(), ElementsAre(Pair("", "SERVING"), Pair(kHealth, "SERVING"), Pair(kTestService, "SERVING")));
}

TEST_P(HealthTest, OneService) {
  StartWithHealth();
  health_->SetServingStatus(kTestService, false);
  EXPECT_EQ(Check(kTestService), "NOT_SERVING");
  EXPECT_EQ(Check(""), "SERVING");
  health_->SetServingStatus(kTestService, true);
  EXPECT_EQ(Check(kTestService), "SERVING");
  health_->SetServingStatus("", false);
  EXPECT_EQ(Check(""), "NOT_SERVING");
  EXPECT_EQ(Check(kTestService), "SERVING");
}

TEST_P(HealthTest, ANameOfTheUsersOwn) {
  StartWithHealth();
  EXPECT_EQ(Check("database"), "NOT_FOUND");
  health_->SetServingStatus("database", false);
  EXPECT_EQ(Check("database"), "NOT_SERVING");
  EXPECT_EQ(List().count("database"), 1);
}

TEST_P(HealthTest, All) {
  StartWithHealth();
  health_->SetServingStatus(false);
  EXPECT_THAT(List(),
              ElementsAre(Pair("", "NOT_SERVING"), Pair(kHealth, "NOT_SERVING"), Pair(kTestService, "NOT_SERVING")));
  health_->SetServingStatus(true);
  EXPECT_EQ(Check(""), "SERVING");
  EXPECT_EQ(Check(kTestService), "SERVING");
}

TEST_P(HealthTest, ShutdownIsForGood) {
  StartWithHealth();
  health_->Shutdown();
  EXPECT_EQ(Check(""), "NOT_SERVING");
  health_->SetServingStatus(true);
  health_->SetServingStatus(kTestService, true);
  health_->SetServingStatus("new", true);
  EXPECT_EQ(Check(kTestService), "NOT_SERVING");
  EXPECT_EQ(Check("new"), "NOT_SERVING");
}

TEST_P(HealthTest, AListHasAnEnd) {
  StartWithHealth();
  while (List().size() < 100) health_->SetServingStatus(absl::StrCat("service", List().size()), true);
  health_->SetServingStatus("one too many", true);
  EXPECT_EQ(stub_->List(HealthListRequest()).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_P(HealthTest, EnabledTwiceIsEnabled) {
  builder_.EnableHealthCheckService();
  StartWithHealth();
  EXPECT_EQ(Check(""), "SERVING");
}

INSTANTIATE_TEST_SUITE_P(Over, HealthTest, kTransports, TransportName);

}  // namespace
}  // namespace nearcall::testing
