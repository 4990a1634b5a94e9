// The metrics of a server, as its admin service tells them.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "nearcall/admin.nearcall.h"
#include "nearcall/admin.pb.h"
#include "nearcall/internal/server_extension.h"
#include "nearcall/metrics.h"
#include "nearcall/server.h"
#include "runtime/base/clock.h"

namespace nearcall {
namespace {

void Describe(const LatencyMetrics& latency, bool with_buckets, admin::Latency* out) {
  const auto percentile = [&](double fraction) { return absl::ToInt64Nanoseconds(latency.Percentile(fraction)); };
  out->set_count(latency.count);
  out->set_sum(absl::ToInt64Nanoseconds(latency.sum));
  out->set_p50(percentile(0.5));
  out->set_p90(percentile(0.9));
  out->set_p99(percentile(0.99));
  out->set_p999(percentile(0.999));
  out->set_max(absl::ToInt64Nanoseconds(latency.max));
  if (!with_buckets) return;
  for (const LatencyMetrics::Bucket& bucket : latency.buckets) {
    admin::Bucket* const one = out->add_buckets();
    one->set_upper(absl::ToInt64Nanoseconds(bucket.upper));
    one->set_count(bucket.count);
  }
}

void Describe(const MethodMetrics& metrics, bool with_buckets, admin::MethodMetrics* out) {
  out->set_method(metrics.method);
  out->set_side(metrics.side == MethodMetrics::Side::kClient ? admin::CLIENT : admin::SERVER);
  out->set_started(metrics.started);
  out->set_in_flight(metrics.in_flight);
  for (const auto& [code, count] : metrics.finished) (*out->mutable_finished())[static_cast<int>(code)] = count;
  out->set_messages_sent(metrics.messages_sent);
  out->set_messages_received(metrics.messages_received);
  out->set_bytes_sent(metrics.bytes_sent);
  out->set_bytes_received(metrics.bytes_received);
  Describe(metrics.latency, with_buckets, out->mutable_latency());
}

// Threads: thread-safe.
class MetricsExtension final : public internal::ServerExtension, private admin::Metrics::Service {
 public:
  explicit MetricsExtension(std::shared_ptr<nearcall::Metrics> metrics) : metrics_(std::move(metrics)) {}

  std::vector<nearcall::Service*> services() override { return {this}; }
  void OnStart(const std::vector<std::string>&) override { started_ = MonotonicNanos(); }

 private:
  absl::Status GetMetrics(ServerContext*, const admin::GetMetricsRequest* request,
                          admin::GetMetricsResponse* response) override {
    const int64_t uptime = MonotonicNanos() - started_;
    response->mutable_uptime()->set_seconds(uptime / 1'000'000'000);
    response->mutable_uptime()->set_nanos(static_cast<int32_t>(uptime % 1'000'000'000));
    for (const MethodMetrics& one : metrics_->Snapshot(request->method_prefix())) {
      Describe(one, request->include_buckets(), response->add_methods());
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<nearcall::Metrics> metrics_;
  int64_t started_ = 0;
};

}  // namespace

ServerBuilder& ServerBuilder::EnableMetrics(std::shared_ptr<Metrics> metrics) {
  if (std::exchange(metrics_, true)) return *this;
  if (metrics == nullptr) metrics = std::make_shared<Metrics>();
  // Before those that may refuse a call: it counts all the same.
  interceptors_.insert(interceptors_.begin(), metrics->server_interceptor());
  return AddExtension(std::make_unique<MetricsExtension>(std::move(metrics)));
}

}  // namespace nearcall
