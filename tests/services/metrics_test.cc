// What the metrics say of calls that are known exactly: in the process, and through the admin service.

#include "nearcall/metrics.h"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "nearcall/admin.nearcall.h"
#include "nearcall/admin.pb.h"
#include "tests/services/fixture.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Side = MethodMetrics::Side;

constexpr char kService[] = "/nearcall.testing.TestService/";

class MetricsTest : public ServicesTest {
 protected:
  void SetUp() override {
    channel_options_.interceptors = {metrics_->client_interceptor()};
    builder_.EnableMetrics(metrics_);
    Start();
    stub_ = StubOf<TestService>();
  }
  void TearDown() override {
    stub_ = nullptr;
    ServicesTest::TearDown();
  }
  // Of one method of TestService; all zero where it was never called.
  MethodMetrics Of(const std::string& method, Side side) const {
    for (MethodMetrics& one : metrics_->Snapshot(kService + method)) {
      if (one.method == kService + method && one.side == side) return one;
    }
    return MethodMetrics();
  }

  std::shared_ptr<Metrics> metrics_ = std::make_shared<Metrics>();
  std::unique_ptr<TestService::Stub> stub_;
};

TEST_P(MetricsTest, NothingWithoutCalls) { EXPECT_THAT(metrics_->Snapshot(), IsEmpty()); }

TEST_P(MetricsTest, UnaryCalls) {
  Payload message;
  message.set_data("12345");
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(stub_->Echo(message).ok());
  FailRequest request;
  for (const absl::StatusCode code : {absl::StatusCode::kNotFound, absl::StatusCode::kAborted,
                                      absl::StatusCode::kNotFound, absl::StatusCode::kUnauthenticated}) {
    request.set_code(static_cast<int>(code));
    EXPECT_EQ(stub_->Fail(request).status().code(), code);
  }
  for (const Side side : {Side::kServer, Side::kClient}) {
    const MethodMetrics echo = Of("Echo", side);
    EXPECT_EQ(echo.started, 10);
    EXPECT_EQ(echo.in_flight, 0);
    EXPECT_THAT(echo.finished, ElementsAre(Pair(absl::StatusCode::kOk, 10)));
    EXPECT_EQ(echo.messages_sent, 10);
    EXPECT_EQ(echo.messages_received, 10);
    EXPECT_EQ(echo.bytes_sent, 70);
    EXPECT_EQ(echo.bytes_received, 70);
    EXPECT_EQ(echo.latency.count, 10);
    EXPECT_GT(echo.latency.max, absl::ZeroDuration());
    EXPECT_GE(echo.latency.sum, echo.latency.max);
    EXPECT_LE(echo.latency.sum, 10 * echo.latency.max);

    const MethodMetrics fail = Of("Fail", side);
    EXPECT_EQ(fail.started, 4);
    EXPECT_THAT(fail.finished, ElementsAre(Pair(absl::StatusCode::kNotFound, 2), Pair(absl::StatusCode::kAborted, 1),
                                           Pair(absl::StatusCode::kUnauthenticated, 1)));
    EXPECT_EQ(fail.latency.count, 4);
  }
  EXPECT_EQ(Of("Fail", Side::kServer).messages_sent, 0);
  EXPECT_EQ(Of("Fail", Side::kServer).messages_received, 4);
}

TEST_P(MetricsTest, StreamsCountAsTheyGo) {
  ClientContext context;
  auto stream = stub_->Chat(&context);
  Payload message;
  message.set_data("a");
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(stream->Write(message));
    EXPECT_TRUE(stream->Read(&message));
  }
  MethodMetrics chat = Of("Chat", Side::kClient);
  EXPECT_EQ(chat.started, 1);
  EXPECT_EQ(chat.in_flight, 1);
  EXPECT_THAT(chat.finished, IsEmpty());
  EXPECT_EQ(chat.messages_sent, 5);
  EXPECT_EQ(chat.messages_received, 5);
  EXPECT_EQ(chat.bytes_sent, 15);
  EXPECT_EQ(Of("Chat", Side::kServer).in_flight, 1);
  EXPECT_EQ(Of("Chat", Side::kServer).messages_received, 5);

  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
  for (const Side side : {Side::kServer, Side::kClient}) {
    chat = Of("Chat", side);
    EXPECT_EQ(chat.in_flight, 0);
    EXPECT_EQ(chat.messages_sent, 5);
    EXPECT_EQ(chat.bytes_received, 15);
    EXPECT_THAT(chat.finished, ElementsAre(Pair(absl::StatusCode::kOk, 1)));
  }
}

TEST_P(MetricsTest, ThePrefixSelects) {
  EXPECT_TRUE(stub_->Echo(Payload()).ok());
  EXPECT_TRUE(stub_->Inspect(InspectRequest()).ok());
  const auto names = [this](const std::string& prefix) {
    std::vector<std::string> result;
    for (const MethodMetrics& one : metrics_->Snapshot(prefix)) {
      result.push_back(absl::StrCat(one.side == Side::kServer ? "server " : "client ",
                                    one.method.substr(one.method.rfind('/') + 1)));
    }
    return result;
  };
  EXPECT_THAT(names(""), ElementsAre("server Echo", "server Inspect", "client Echo", "client Inspect"));
  EXPECT_THAT(names(absl::StrCat(kService, "E")), ElementsAre("server Echo", "client Echo"));
  EXPECT_THAT(names(absl::StrCat(kService, "Inspect")), ElementsAre("server Inspect", "client Inspect"));
  EXPECT_THAT(names("/none"), IsEmpty());
}

TEST_P(MetricsTest, NothingIsLostBetweenThreads) {
  constexpr int kThreads = 4, kCalls = 100;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([=, this] {
      Payload message;
      message.set_number(1);
      for (int j = 0; j < kCalls; ++j) {
        EXPECT_TRUE(stub_->Echo(message).ok());
        const MethodMetrics now = Of("Echo", Side::kServer);
        EXPECT_LE(now.finished.at(absl::StatusCode::kOk), now.started);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Side side : {Side::kServer, Side::kClient}) {
    const MethodMetrics echo = Of("Echo", side);
    EXPECT_EQ(echo.started, kThreads * kCalls);
    EXPECT_EQ(echo.in_flight, 0);
    EXPECT_EQ(echo.finished.at(absl::StatusCode::kOk), kThreads * kCalls);
    EXPECT_EQ(echo.bytes_received, 2 * kThreads * kCalls);
    EXPECT_EQ(echo.latency.count, kThreads * kCalls);
  }
}

TEST_P(MetricsTest, TheAdminServiceTells) {
  Payload message;
  message.set_data("12345");
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(stub_->Echo(message).ok());
  const auto admin = StubOf<admin::Metrics>();
  admin::GetMetricsRequest request;
  request.set_method_prefix(kService);
  request.set_include_buckets(true);
  absl::StatusOr<admin::GetMetricsResponse> response = admin->GetMetrics(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_GT(response->uptime().seconds() + response->uptime().nanos(), 0);
  ASSERT_EQ(response->methods_size(), 2);
  const admin::MethodMetrics& echo = response->methods(0);
  EXPECT_EQ(echo.method(), absl::StrCat(kService, "Echo"));
  EXPECT_EQ(echo.side(), admin::SERVER);
  EXPECT_EQ(response->methods(1).side(), admin::CLIENT);
  EXPECT_EQ(echo.started(), 10);
  EXPECT_EQ(echo.in_flight(), 0);
  EXPECT_EQ(echo.finished().at(0), 10);
  EXPECT_EQ(echo.messages_sent(), 10);
  EXPECT_EQ(echo.messages_received(), 10);
  EXPECT_EQ(echo.bytes_sent(), 70);
  EXPECT_EQ(echo.bytes_received(), 70);
  const admin::Latency& latency = echo.latency();
  EXPECT_EQ(latency.count(), 10);
  EXPECT_GT(latency.p50(), 0);
  EXPECT_LE(latency.p50(), latency.p90());
  EXPECT_LE(latency.p90(), latency.p99());
  EXPECT_LE(latency.p99(), latency.p999());
  EXPECT_LE(latency.p999(), latency.max());
  EXPECT_LE(latency.max(), latency.sum());
  int64_t counted = 0;
  for (const admin::Bucket& bucket : latency.buckets()) counted += bucket.count();
  EXPECT_EQ(counted, 10);

  // It counts itself, too; and has buckets only where asked.
  response = admin->GetMetrics(admin::GetMetricsRequest());
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->methods_size(), 4);
  EXPECT_EQ(response->methods(0).method(), "/nearcall.admin.Metrics/GetMetrics");
  EXPECT_EQ(response->methods(0).started(), 2);
  EXPECT_EQ(response->methods(0).in_flight(), 1);
  for (const admin::MethodMetrics& one : response->methods()) EXPECT_THAT(one.latency().buckets(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Over, MetricsTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

// How the metrics are switched on.
class EnableMetricsTest : public ServicesTest {};

TEST_P(EnableMetricsTest, OffUnlessAskedFor) {
  Start();
  EXPECT_EQ(StubOf<admin::Metrics>()->GetMetrics(admin::GetMetricsRequest()).status().code(),
            absl::StatusCode::kUnimplemented);
}

class RefuseEcho final : public ServerInterceptor {
 public:
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo& method, ServerContext*) override {
    if (absl::EndsWith(method.name, "/Echo")) return absl::PermissionDeniedError("no echo here");
    return nullptr;
  }
};

TEST_P(EnableMetricsTest, CallsThatOthersRefuseCount) {
  builder_.AddInterceptor(std::make_shared<RefuseEcho>());
  builder_.EnableMetrics().EnableMetrics();
  Start();
  EXPECT_EQ(StubOf<TestService>()->Echo(Payload()).status().code(), absl::StatusCode::kPermissionDenied);
  const absl::StatusOr<admin::GetMetricsResponse> response =
      StubOf<admin::Metrics>()->GetMetrics(admin::GetMetricsRequest());
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->methods_size(), 2);
  EXPECT_EQ(response->methods(1).finished().at(static_cast<int>(absl::StatusCode::kPermissionDenied)), 1);
}

INSTANTIATE_TEST_SUITE_P(Over, EnableMetricsTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

// One method of whatever name, as a server of arbitrary methods has them, all under one number.
TEST(MetricsTableTest, ManyNamesUnderOneNumberAreBounded) {
  Metrics metrics;
  const std::shared_ptr<ServerInterceptor> interceptor = metrics.server_interceptor();
  constexpr int kNames = 1500;
  for (int i = 0; i < kNames; ++i) {
    const std::string name = absl::StrCat("/s/", i);
    auto listener = interceptor->OnCall(MethodInfo{name, false, false, 7}, nullptr);
    ASSERT_TRUE(listener.ok());
    (*listener)->OnEnd(absl::OkStatus(), CallTotals());
  }
  const std::vector<MethodMetrics> snapshot = metrics.Snapshot();
  EXPECT_EQ(snapshot.size(), 1001);
  EXPECT_EQ(metrics.Snapshot("/s/0")[0].started, 1);
  ASSERT_EQ(metrics.Snapshot("(other)").size(), 1);
  EXPECT_EQ(metrics.Snapshot("(other)")[0].started, kNames - 1000);
}

TEST(MetricsTableTest, NumbersWithoutBound) {
  Metrics metrics;
  const std::shared_ptr<ClientInterceptor> interceptor = metrics.client_interceptor();
  for (const uint32_t id : {0u, 1u, 1023u, 1024u, UINT32_MAX}) {
    for (int i = 0; i < 2; ++i) {
      interceptor->OnCall(MethodInfo{"/s/m", false, false, id}, nullptr)->OnEnd(absl::OkStatus(), CallTotals());
    }
  }
  ASSERT_EQ(metrics.Snapshot().size(), 1);
  EXPECT_EQ(metrics.Snapshot()[0].started, 10);
}

// What counts outlives the Metrics that gave it away.
TEST(MetricsTableTest, TheInterceptorsKeepWhatTheyNeed) {
  auto metrics = std::make_unique<Metrics>();
  const std::shared_ptr<ClientInterceptor> interceptor = metrics->client_interceptor();
  metrics = nullptr;
  interceptor->OnCall(MethodInfo{"/s/m", false, false, 1}, nullptr)->OnEnd(absl::OkStatus(), CallTotals());
}

}  // namespace
}  // namespace nearcall::testing
