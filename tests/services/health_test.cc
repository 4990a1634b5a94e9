// The health service, as a prober sees it.

#include "nearcall/health.h"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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

// One call to Watch.
class Watch {
 public:
  Watch(Health::Stub* stub, const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    reader_ = stub->Watch(&context_, request);
  }
  // The next status; "END" when there is none.
  std::string Next() {
    HealthCheckResponse response;
    return reader_->Read(&response) ? HealthCheckResponse::ServingStatus_Name(response.status()) : "END";
  }
  absl::Status Finish() { return reader_->Finish(); }
  ClientContext* context() { return &context_; }

 private:
  ClientContext context_;
  std::unique_ptr<ClientReader<HealthCheckResponse>> reader_;
};

TEST_P(HealthTest, WatchSeesEveryChange) {
  StartWithHealth();
  Watch watch(stub_.get(), kTestService);
  Watch other(stub_.get(), "");
  EXPECT_EQ(watch.Next(), "SERVING");
  EXPECT_EQ(other.Next(), "SERVING");
  for (int i = 0; i < 10; ++i) {
    health_->SetServingStatus(kTestService, false);
    EXPECT_EQ(watch.Next(), "NOT_SERVING");
    health_->SetServingStatus(kTestService, false);  // no change
    health_->SetServingStatus(kTestService, true);
    EXPECT_EQ(watch.Next(), "SERVING");
  }
  health_->SetServingStatus(false);
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
  EXPECT_EQ(other.Next(), "NOT_SERVING");
}

TEST_P(HealthTest, WatchOfAServiceThatIsToCome) {
  StartWithHealth();
  Watch watch(stub_.get(), "database");
  EXPECT_EQ(watch.Next(), "SERVICE_UNKNOWN");
  EXPECT_EQ(Check("database"), "NOT_FOUND");  // watching does not make it known
  health_->SetServingStatus(true);
  health_->SetServingStatus("database", true);
  EXPECT_EQ(watch.Next(), "SERVING");
}

TEST_P(HealthTest, WatchEndsWhenItsCallerHasEnough) {
  StartWithHealth();
  Watch watch(stub_.get(), "");
  EXPECT_EQ(watch.Next(), "SERVING");
  watch.context()->TryCancel();
  EXPECT_EQ(watch.Next(), "END");
  EXPECT_EQ(watch.Finish().code(), absl::StatusCode::kCancelled);
  health_->SetServingStatus("", false);
  EXPECT_EQ(Check(""), "NOT_SERVING");
}

TEST_P(HealthTest, AShutdownTellsWatchersAndWaitsForNone) {
  StartWithHealth();
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < 20; ++i) {
    watches.push_back(std::make_unique<Watch>(stub_.get(), i % 2 == 0 ? "" : kTestService));
    EXPECT_EQ(watches.back()->Next(), "SERVING");
  }
  Watch unknown(stub_.get(), "unknown");
  EXPECT_EQ(unknown.Next(), "SERVICE_UNKNOWN");
  server_->Shutdown();  // does not return before the last of them has ended
  for (const auto& watch : watches) {
    EXPECT_EQ(watch->Next(), "NOT_SERVING");
    EXPECT_EQ(watch->Next(), "END");
    EXPECT_EQ(watch->Finish().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(unknown.Next(), "END");
  EXPECT_EQ(unknown.Finish().code(), absl::StatusCode::kUnavailable);
}

TEST_P(HealthTest, AWatcherThatDoesNotReadHoldsNothingUp) {
  // It grants room for one message and never reads it.
  channel_options_.stream_window_bytes = 1;
  StartWithHealth();
  Watch deaf(stub_.get(), "");
  const auto plain = CreateChannel(channel_->address());
  stub_ = Health::NewStub(plain);
  Watch watch(stub_.get(), "");
  EXPECT_EQ(watch.Next(), "SERVING");
  for (int i = 0; i < 10; ++i) {
    health_->SetServingStatus("", false);
    EXPECT_EQ(watch.Next(), "NOT_SERVING");
    health_->SetServingStatus("", true);
    EXPECT_EQ(watch.Next(), "SERVING");
  }
  server_->Shutdown();
  EXPECT_EQ(watch.Next(), "NOT_SERVING");
}

// Watchers that come and go, while statuses change and the server ends.
TEST_P(HealthTest, WatchersComeAndGo) {
  StartWithHealth();
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        Watch watch(stub_.get(), "");
        if (watch.Next() != "END") watch.Next();
        watch.context()->TryCancel();
      }
    });
  }
  for (int i = 0; i < 300; ++i) health_->SetServingStatus("", i % 2 == 0);
  stop.store(true);
  server_->Shutdown();
  for (std::thread& thread : threads) thread.join();
}

TEST_P(HealthTest, EnabledTwiceIsEnabled) {
  builder_.EnableHealthCheckService();
  StartWithHealth();
  EXPECT_EQ(Check(""), "SERVING");
}

INSTANTIATE_TEST_SUITE_P(Over, HealthTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
