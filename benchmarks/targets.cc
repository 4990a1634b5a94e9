// What nearcall is to reach, on a machine with two CPUs and nothing else to do.

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "benchmarks/report.h"

namespace nearcall::benchmarks {
namespace {

using Value = std::optional<double>;

Value FloorRatio(const Row& row, const std::vector<Row>&) { return row.floor_ratio; }
Value GrpcRatio(const Row& row, const std::vector<Row>&) { return row.grpc_ratio; }
Value PerSecond(const Row& row, const std::vector<Row>&) { return row.calls_per_s; }
Value Fairness(const Row& row, const std::vector<Row>&) { return row.fairness; }
Value Median(const Row& row, const std::vector<Row>&) { return row.p50; }
Value Tail(const Row& row, const std::vector<Row>&) {
  if (!row.p50 || !row.p99) return std::nullopt;
  return *row.p99 / *row.p50;
}
Value IdleCpu(const Row& row, const std::vector<Row>&) {
  for (const auto& [name, value] : row.cost) {
    if (name == "idle_cpu_ms_per_s") return value;
  }
  return std::nullopt;
}

// The p99 of a case in which a handler sleeps, to the p99 without.
Value TailToUsual(const Row& row, const std::vector<Row>& rows) {
  for (const Row& usual : rows) {
    if (usual.label == "unary/64" && usual.contestant == row.contestant && row.p99 && usual.p99) {
      return *row.p99 / *usual.p99;
    }
  }
  return std::nullopt;
}
// What 512 connections reach, to the best that fewer do.
Value ManyToFew(const Row& many, const std::vector<Row>& rows) {
  Value few;
  for (const Row& row : rows) {
    if (row.contestant != many.contestant || !absl::StartsWith(row.label, "clients/") || !row.calls_per_s) continue;
    if (row.label != many.label) few = std::max(few.value_or(0), *row.calls_per_s);
  }
  if (!many.calls_per_s || !few) return std::nullopt;
  return *many.calls_per_s / *few;
}
// What adaptive spinning reaches, to the better of spinning always and never.
Value AdaptiveToBetter(const Row& adaptive, const std::vector<Row>& rows) {
  Value better;
  for (const Row& row : rows) {
    if (row.contestant != adaptive.contestant || !row.calls_per_s) continue;
    if (row.label != "threads-16/always" && row.label != "threads-16/never") continue;
    better = std::max(better.value_or(0), *row.calls_per_s);
  }
  if (!adaptive.calls_per_s || !better) return std::nullopt;
  return *adaptive.calls_per_s / *better;
}

struct Target {
  const char* what;
  const char* label;
  const char* contestant;
  Value (*figure)(const Row& row, const std::vector<Row>& rows);
  bool at_most;
  double limit;
};

constexpr bool kAtMost = true;
constexpr bool kAtLeast = false;

const Target kTargets[] = {
    {"shm, 64 B: times the cache-line floor", "unary/64", "shm", FloorRatio, kAtMost, 2.5},
    {"shm, 64 B: times faster than gRPC over a Unix socket", "unary/64", "shm", GrpcRatio, kAtLeast, 40},
    {"shm, 64 B: p99 to p50", "unary/64", "shm", Tail, kAtMost, 4},
    {"gRPC's own code over shm, 64 B: times faster than over a Unix socket", "unary/64", "shm-adapter", GrpcRatio,
     kAtLeast, 15},
    {"unix, 64 B: times a bare spinning socket", "unary/64", "unix", FloorRatio, kAtMost, 1.5},
    {"unix, 64 B: times faster than gRPC over a Unix socket", "unary/64", "unix", GrpcRatio, kAtLeast, 5},
    {"tcp, 64 B: times a bare spinning socket", "unary/64", "tcp", FloorRatio, kAtMost, 1.5},
    {"tcp, 64 B: times faster than gRPC over TCP", "unary/64", "tcp", GrpcRatio, kAtLeast, 3},
    {"shm, 64 B, all on one CPU: times the eventfd floor", "unary-one-cpu/64", "shm", FloorRatio, kAtMost, 2},
    {"shm, 64 B, all on one CPU: times faster than gRPC", "unary-one-cpu/64", "shm", GrpcRatio, kAtLeast, 6},
    {"shm, 64 B, spinning forbidden: times the eventfd floor", "unary-no-spin/64", "shm", FloorRatio, kAtMost, 1.15},
    {"shm, 64 B, spinning forbidden: times faster than gRPC", "unary-no-spin/64", "shm", GrpcRatio, kAtLeast, 1},
    {"shm, 64 calls in flight: a second", "in-flight/64", "shm", PerSecond, kAtLeast, 1'000'000},
    {"shm, 64 calls in flight: times gRPC's callback API", "in-flight/64", "shm", GrpcRatio, kAtLeast, 25},
    {"shm, 1 MiB: times one memcpy", "unary/1Mi", "shm", FloorRatio, kAtMost, 10},
    {"shm, 1 MiB: times faster than gRPC", "unary/1Mi", "shm", GrpcRatio, kAtLeast, 4},
    {"shm, buffers of 64 MiB both ways, warm: microseconds", "unary/64Mi", "shm-buffer", Median, kAtMost, 20},
    {"shm, stream of 64 B: messages a second", "stream/64", "shm", PerSecond, kAtLeast, 3'000'000},
    {"shm, 16 threads: adaptive to the better policy", "threads-16/adaptive", "shm", AdaptiveToBetter, kAtLeast, 0.95},
    {"unix, 16 threads: adaptive to the better policy", "threads-16/adaptive", "unix", AdaptiveToBetter, kAtLeast,
     0.95},
    {"tcp, 16 threads: adaptive to the better policy", "threads-16/adaptive", "tcp", AdaptiveToBetter, kAtLeast, 0.95},
    {"shm, 512 connections: calls of the busiest to the least busy", "clients/512", "shm", Fairness, kAtMost, 3},
    {"shm, 512 connections: share of the best with fewer", "clients/512", "shm", ManyToFew, kAtLeast, 0.8},
    {"unix, 512 connections: calls of the busiest to the least busy", "clients/512", "unix", Fairness, kAtMost, 3},
    {"unix, 512 connections: share of the best with fewer", "clients/512", "unix", ManyToFew, kAtLeast, 0.8},
    {"tcp, 512 connections: calls of the busiest to the least busy", "clients/512", "tcp", Fairness, kAtMost, 3},
    {"tcp, 512 connections: share of the best with fewer", "clients/512", "tcp", ManyToFew, kAtLeast, 0.8},
    {"shm, 100 idle connections: ms of CPU a second", "cost", "shm", IdleCpu, kAtMost, 0.1},
    {"shm, a handler asleep: p99 of another connection to the usual", "sleeper/other-connection", "shm", TailToUsual,
     kAtMost, 3},
    {"shm, a handler asleep: p99 of the same connection to the usual", "sleeper/same-connection", "shm", TailToUsual,
     kAtMost, 3},
};

std::string Line(const Target& target, double figure) {
  const bool met = target.at_most ? figure <= target.limit : figure >= target.limit;
  return absl::StrFormat("%-62s %s %10.6g %12.6g  %s\n", target.what, target.at_most ? "<=" : ">=", target.limit,
                         figure, met ? "met" : "MISSED");
}

}  // namespace

std::string Targets(const std::vector<Row>& rows) {
  std::string lines;
  for (const Target& target : kTargets) {
    for (const Row& row : rows) {
      if (row.label != target.label || row.contestant != target.contestant) continue;
      if (const Value figure = target.figure(row, rows)) lines += Line(target, *figure);
    }
  }
  if (lines.empty()) return "";
  return absl::StrFormat("%-62s %13s %12s\n", "target", "", "measured") + lines;
}

}  // namespace nearcall::benchmarks
