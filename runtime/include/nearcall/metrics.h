#ifndef NEARCALL_METRICS_H_
#define NEARCALL_METRICS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nearcall/interceptor.h"

namespace nearcall {

// How long calls took, in buckets that grow with what they hold: each is at most 1/32 as wide as its lower end.
struct LatencyMetrics {
  struct Bucket {
    absl::Duration upper;  // inclusive; the next one begins a nanosecond later
    int64_t count;
  };

  int64_t count = 0;
  absl::Duration sum;
  absl::Duration max;           // exact
  std::vector<Bucket> buckets;  // those that are not empty, in order

  // What `fraction` of the calls (0.99) did not exceed: never less than the true figure, and at most 1/32 more, up to
  // an hour. Zero where there were no calls.
  absl::Duration Percentile(double fraction) const;
};

// What one side saw of the calls of one method.
struct MethodMetrics {
  enum class Side { kServer, kClient };

  std::string method;  // "/package.Service/Method"
  Side side;
  int64_t started = 0;
  int64_t in_flight = 0;
  std::map<absl::StatusCode, int64_t> finished;
  // Of streams as they pass, of unary calls when they end. Bytes are those of the messages, serialized.
  int64_t messages_sent = 0;
  int64_t messages_received = 0;
  int64_t bytes_sent = 0;
  int64_t bytes_received = 0;
  LatencyMetrics latency;  // of the calls that have finished: on a client all of it, on a server the handler's part
};

// Counts calls, method by method. On a server, ServerBuilder::EnableMetrics does the rest:
//
//   auto metrics = std::make_shared<nearcall::Metrics>();
//   builder.EnableMetrics(metrics);
//   channel_options.interceptors.push_back(metrics->client_interceptor());
//
// A method is counted from its first call on. Beyond 1000 of them, which only a server of arbitrary methods comes to,
// the rest is counted together as "(other)".
//
// Threads: thread-safe. To count takes no lock once the method is known. Lifetime: what it counts for keeps what it
// needs.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Those who count, for any number of channels and servers.
  std::shared_ptr<ClientInterceptor> client_interceptor() const;
  std::shared_ptr<ServerInterceptor> server_interceptor() const;

  // The figures of the methods whose names begin so, by name. Calls go on meanwhile: figures that belong together may
  // be apart by what happens in a moment.
  std::vector<MethodMetrics> Snapshot(absl::string_view method_prefix = "") const;

 private:
  class Counting;
  const std::shared_ptr<Counting> counting_;
};

}  // namespace nearcall

#endif  // NEARCALL_METRICS_H_
