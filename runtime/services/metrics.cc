#include "nearcall/metrics.h"

#include <array>
#include <atomic>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "runtime/services/latency_histogram.h"

namespace nearcall {
namespace {

constexpr size_t kMaxMethods = 1000;
constexpr char kOther[] = "(other)";
constexpr size_t kCodes = 17;  // of absl::Status, as gRPC's

// The figures of one method on one side.
//
// Threads: thread-safe and lock-free. The atomics are relaxed, for they publish nothing but themselves; but whoever
// sees that a call has finished also sees that it started: OnEnd's release pairs with Snapshot's acquire.
class MethodStats {
 public:
  explicit MethodStats(absl::string_view name) : name_(name) {}

  const std::string& name() const { return name_; }
  void OnStart() { Add(&started_, 1); }
  void OnSent(int64_t messages, int64_t bytes) {
    Add(&messages_sent_, messages);
    Add(&bytes_sent_, bytes);
  }
  void OnReceived(int64_t messages, int64_t bytes) {
    Add(&messages_received_, messages);
    Add(&bytes_received_, bytes);
  }
  void OnEnd(absl::StatusCode code, int64_t nanos) {
    const auto index = static_cast<size_t>(code);
    finished_[index < kCodes ? index : static_cast<size_t>(absl::StatusCode::kUnknown)].fetch_add(
        1, std::memory_order_release);
    latency_.Record(nanos);
  }

  MethodMetrics Snapshot(MethodMetrics::Side side) const {
    MethodMetrics metrics;
    metrics.method = name_;
    metrics.side = side;
    int64_t ended = 0;
    for (size_t code = 0; code < kCodes; ++code) {
      const int64_t count = finished_[code].load(std::memory_order_acquire);
      if (count != 0) metrics.finished[static_cast<absl::StatusCode>(code)] = count;
      ended += count;
    }
    metrics.started = started_.load(std::memory_order_relaxed);
    metrics.in_flight = metrics.started - ended;
    metrics.messages_sent = messages_sent_.load(std::memory_order_relaxed);
    metrics.messages_received = messages_received_.load(std::memory_order_relaxed);
    metrics.bytes_sent = bytes_sent_.load(std::memory_order_relaxed);
    metrics.bytes_received = bytes_received_.load(std::memory_order_relaxed);
    metrics.latency = latency_.Snapshot();
    return metrics;
  }

 private:
  using Counter = std::atomic<int64_t>;
  static void Add(Counter* counter, int64_t amount) {
    if (amount != 0) counter->fetch_add(amount, std::memory_order_relaxed);
  }

  const std::string name_;
  Counter started_{0};
  Counter messages_sent_{0};
  Counter messages_received_{0};
  Counter bytes_sent_{0};
  Counter bytes_received_{0};
  std::array<Counter, kCodes> finished_{};
  LatencyHistogram latency_;
};

// The methods of one side, found without a lock by their numbers.
//
// Threads: thread-safe. Owns the stats.
class MethodTable {
 public:
  explicit MethodTable(MethodMetrics::Side side) : side_(side) {}

  MethodStats* Find(const MethodInfo& method) {
    if (method.id < kDirect) {
      // Pairs with the release below. Where methods are named by their callers one number may stand for several.
      MethodStats* const known = direct_[method.id].load(std::memory_order_acquire);
      if (known != nullptr && known->name() == method.name) return known;
    }
    MethodStats* const found = FindByName(method.name);
    if (method.id < kDirect) direct_[method.id].store(found, std::memory_order_release);
    return found;
  }

  void Snapshot(absl::string_view prefix, std::vector<MethodMetrics>* snapshot) const {
    absl::MutexLock lock(&mu_);
    for (auto at = methods_.lower_bound(prefix); at != methods_.end() && absl::StartsWith(at->first, prefix); ++at) {
      snapshot->push_back(at->second->Snapshot(side_));
    }
  }

 private:
  static constexpr size_t kDirect = 1024;

  MethodStats* FindByName(absl::string_view name) {
    absl::MutexLock lock(&mu_);
    auto at = methods_.find(name);
    if (at == methods_.end()) {
      if (methods_.size() >= kMaxMethods) name = kOther;
      at = methods_.try_emplace(std::string(name), nullptr).first;
      if (at->second == nullptr) at->second = std::make_unique<MethodStats>(name);
    }
    return at->second.get();
  }

  const MethodMetrics::Side side_;
  std::array<std::atomic<MethodStats*>, kDirect> direct_{};
  mutable absl::Mutex mu_;
  absl::btree_map<std::string, std::unique_ptr<MethodStats>> methods_ ABSL_GUARDED_BY(mu_);
};

// Counts one call.
class CountingListener final : public CallListener {
 public:
  CountingListener(MethodStats* stats, bool streams) : stats_(stats), streams_(streams) { stats_->OnStart(); }
  void OnMessageSent(size_t bytes) override {
    if (streams_) stats_->OnSent(1, static_cast<int64_t>(bytes));
  }
  void OnMessageReceived(size_t bytes) override {
    if (streams_) stats_->OnReceived(1, static_cast<int64_t>(bytes));
  }
  void OnEnd(const absl::Status& status, const CallTotals& totals) override {
    if (!streams_) {
      stats_->OnSent(totals.messages_sent, totals.bytes_sent);
      stats_->OnReceived(totals.messages_received, totals.bytes_received);
    }
    stats_->OnEnd(status.code(), absl::ToInt64Nanoseconds(totals.duration));
  }

 private:
  MethodStats* const stats_;
  const bool streams_;
};

std::unique_ptr<CallListener> Count(MethodTable* table, const MethodInfo& method) {
  return std::make_unique<CountingListener>(table->Find(method), method.client_streaming || method.server_streaming);
}

}  // namespace

// What the interceptors share.
class Metrics::Counting final : public ClientInterceptor, public ServerInterceptor {
 public:
  std::unique_ptr<CallListener> OnCall(const MethodInfo& method, ClientContext*) override {
    return Count(&client_, method);
  }
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo& method, ServerContext*) override {
    return Count(&server_, method);
  }
  std::vector<MethodMetrics> Snapshot(absl::string_view prefix) const {
    std::vector<MethodMetrics> snapshot;
    server_.Snapshot(prefix, &snapshot);
    client_.Snapshot(prefix, &snapshot);
    return snapshot;
  }

 private:
  MethodTable server_{MethodMetrics::Side::kServer};
  MethodTable client_{MethodMetrics::Side::kClient};
};

Metrics::Metrics() : counting_(std::make_shared<Counting>()) {}
Metrics::~Metrics() = default;

std::shared_ptr<ClientInterceptor> Metrics::client_interceptor() const { return counting_; }
std::shared_ptr<ServerInterceptor> Metrics::server_interceptor() const { return counting_; }
std::vector<MethodMetrics> Metrics::Snapshot(absl::string_view method_prefix) const {
  return counting_->Snapshot(method_prefix);
}

}  // namespace nearcall
