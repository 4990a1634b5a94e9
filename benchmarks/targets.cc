// What nearcall is to reach, on a machine with two CPUs and nothing else to do.

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "benchmarks/report.h"

namespace nearcall::benchmarks {
namespace {

using Value = std::optional<double>;

Value FloorRatio(const Row& row) { return row.floor_ratio; }
Value GrpcRatio(const Row& row) { return row.grpc_ratio; }
Value PerSecond(const Row& row) { return row.calls_per_s; }
Value Fairness(const Row& row) { return row.fairness; }
Value Median(const Row& row) { return row.p50; }
Value Tail(const Row& row) {
  if (!row.p50 || !row.p99) return std::nullopt;
  return *row.p99 / *row.p50;
}
Value IdleCpu(const Row& row) {
  for (const auto& [name, value] : row.cost) {
    if (name == "idle_cpu_ms_per_s") return value;
  }
  return std::nullopt;
}

struct Target {
  const char* what;
  const char* label;
  const char* contestant;
  Value (*figure)(const Row& row);
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
    {"shm, 512 connections: calls of the busiest to the least busy", "clients/512", "shm", Fairness, kAtMost, 3},
    {"shm, 100 idle connections: ms of CPU a second", "cost", "shm", IdleCpu, kAtMost, 0.1},
};

constexpr Target kBesideSleeper[] = {
    {"shm, a handler asleep: p99 of another connection to the usual", "sleeper/other-connection", "", nullptr, kAtMost,
     3},
    {"shm, a handler asleep: p99 of the same connection to the usual", "sleeper/same-connection", "", nullptr, kAtMost,
     3},
};

std::string Line(const Target& target, double figure) {
  const bool met = target.at_most ? figure <= target.limit : figure >= target.limit;
  return absl::StrFormat("%-62s %s %10.6g %12.6g  %s\n", target.what, target.at_most ? "<=" : ">=", target.limit,
                         figure, met ? "met" : "MISSED");
}

// The p99 of a case in which a handler sleeps, to the p99 without.
Value TailBesideSleeper(const std::vector<Row>& rows, const char* label) {
  Value beside;
  Value usual;
  for (const Row& row : rows) {
    if (row.contestant != "shm") continue;
    if (row.label == label) beside = row.p99;
    if (row.label == "unary/64") usual = row.p99;
  }
  if (!beside || !usual) return std::nullopt;
  return *beside / *usual;
}

// What 512 connections reach, to the best that fewer do.
Value ManyToFew(const std::vector<Row>& rows) {
  Value many;
  Value few;
  for (const Row& row : rows) {
    if (row.contestant != "shm" || !absl::StartsWith(row.label, "clients/") || !row.calls_per_s) continue;
    if (row.measured.round.clients() == 512) {
      many = row.calls_per_s;
    } else {
      few = std::max(few.value_or(0), *row.calls_per_s);
    }
  }
  if (!many || !few) return std::nullopt;
  return *many / *few;
}

}  // namespace

std::string Targets(const std::vector<Row>& rows) {
  std::string lines;
  for (const Target& target : kTargets) {
    for (const Row& row : rows) {
      if (row.label != target.label || row.contestant != target.contestant) continue;
      if (const Value figure = target.figure(row)) lines += Line(target, *figure);
    }
  }
  const Target many{"shm, 512 connections: share of the best with fewer", "", "", nullptr, kAtLeast, 0.8};
  if (const Value share = ManyToFew(rows)) lines += Line(many, *share);
  for (const Target& target : kBesideSleeper) {
    if (const Value ratio = TailBesideSleeper(rows, target.label)) lines += Line(target, *ratio);
  }
  if (lines.empty()) return "";
  return absl::StrFormat("%-62s %13s %12s\n", "target", "", "measured") + lines;
}

}  // namespace nearcall::benchmarks
