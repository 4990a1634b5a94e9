#ifndef NEARCALL_BENCHMARKS_ROW_H_
#define NEARCALL_BENCHMARKS_ROW_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/cases.h"
#include "benchmarks/histogram.h"

namespace nearcall::benchmarks {

// What one contestant came to in one case. Times are in microseconds. Of latencies, rates and CPU it is the median over
// the rounds; where nothing was measured, there is no value.
struct Row {
  Case measured;
  std::string label;  // of the case; SLEEPER makes two rows
  std::string contestant;
  std::optional<double> p50, p99, p999;
  std::optional<double> calls_per_s;  // or messages
  std::optional<double> cpu_per_call;
  // Calls of the client that got the most in all rounds, to those of the one that got the fewest.
  std::optional<double> fairness;
  std::string floor;
  std::optional<double> floor_ratio;  // how many times the floor's median time it takes
  std::string grpc;
  std::optional<double> grpc_ratio;                  // how many times better than gRPC
  std::vector<std::pair<std::string, double>> cost;  // of cost rows: name and value
  double others_cpu = 0;                             // CPUs that other processes used meanwhile, stolen time included
  Histogram latency;                                 // of all rounds together
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_ROW_H_
