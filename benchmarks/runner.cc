#include "benchmarks/runner.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/binary_size.h"
#include "benchmarks/cost.h"
#include "benchmarks/placement.h"
#include "runtime/base/clock.h"

namespace nearcall::benchmarks {
namespace {

std::optional<double> Median(std::vector<double> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::optional<double> Ratio(std::optional<double> above, std::optional<double> below) {
  if (!above || !below || *below == 0) return std::nullopt;
  return *above / *below;
}

// What a contestant's rounds have shown.
struct Rounds {
  std::vector<double> p50, p99, p999, rate, cpu;
  std::vector<double> same_p50, same_p99, same_p999;
  std::vector<int64_t> of_client;  // calls, over all rounds
  Histogram latency;
  Histogram same_connection;

  void Add(const Pair::Outcome& outcome) {
    const Sample& sample = outcome.sample;
    if (sample.latency().count_size() > 0) Note(sample.latency(), &latency, &p50, &p99, &p999);
    if (sample.same_connection().count_size() > 0) {
      Note(sample.same_connection(), &same_connection, &same_p50, &same_p99, &same_p999);
    }
    if (sample.seconds() > 0) rate.push_back(static_cast<double>(sample.counted()) / sample.seconds());
    if (sample.calls() > 0) cpu.push_back(outcome.cpu_seconds * 1e6 / static_cast<double>(sample.calls()));
    of_client.resize(sample.of_client().size());
    std::transform(sample.of_client().begin(), sample.of_client().end(), of_client.begin(), of_client.begin(),
                   std::plus<>());
  }

  std::optional<double> Fairness() const {
    if (of_client.empty()) return std::nullopt;
    const auto [least, most] = std::minmax_element(of_client.begin(), of_client.end());
    return static_cast<double>(*most) / static_cast<double>(std::max<int64_t>(*least, 1));
  }

 private:
  static void Note(const Buckets& buckets, Histogram* all, std::vector<double>* p50, std::vector<double>* p99,
                   std::vector<double>* p999) {
    Histogram histogram;
    histogram.Add(buckets);
    p50->push_back(histogram.Percentile(0.5) / 1e3);
    p99->push_back(histogram.Percentile(0.99) / 1e3);
    p999->push_back(histogram.Percentile(0.999) / 1e3);
    all->Add(buckets);
  }
};

// The time in which some CPU has been busy, or was stolen from this machine, in seconds over all CPUs.
double BusySeconds() {
  FILE* const file = fopen("/proc/stat", "re");
  if (file == nullptr) return 0;
  long long user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0;
  const int fields = fscanf(file, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &user, &nice, &system, &idle, &wait,
                            &irq, &softirq, &steal);
  fclose(file);
  if (fields != 8) return 0;
  return static_cast<double>(user + nice + system + irq + softirq + steal) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

Row RowOf(const Case& one, const std::string& contestant, const Rounds& rounds) {
  Row row;
  row.measured = one;
  row.label = one.label;
  row.contestant = contestant;
  row.p50 = Median(rounds.p50);
  row.p99 = Median(rounds.p99);
  row.p999 = Median(rounds.p999);
  row.calls_per_s = Median(rounds.rate);
  row.cpu_per_call = Median(rounds.cpu);
  row.fairness = rounds.Fairness();
  row.latency = rounds.latency;
  return row;
}

// What other connections have seen of a handler that sleeps is in `rows`; here comes what its own has seen.
void AddSameConnection(const Case& one, std::map<std::string, Rounds>* rounds, std::vector<Row>* rows) {
  for (Row& row : *rows) row.label = "sleeper/other-connection";
  for (const std::string& contestant : one.contestants) {
    Rounds& all = (*rounds)[contestant];
    all.p50 = all.same_p50;
    all.p99 = all.same_p99;
    all.p999 = all.same_p999;
    all.latency = all.same_connection;
    rows->push_back(RowOf(one, contestant, all));
    rows->back().label = "sleeper/same-connection";
    rows->back().calls_per_s.reset();
  }
}

void Compare(const Case& one, std::vector<Row>* rows) {
  const auto find = [rows](const std::string& label, const std::string& contestant) -> const Row* {
    for (const Row& row : *rows) {
      if (row.label == label && row.contestant == contestant) return &row;
    }
    return nullptr;
  };
  for (Row& row : *rows) {
    row.floor = FloorOf(one, row.contestant);
    row.grpc = GrpcOf(one, row.contestant);
    if (const Row* const floor = find(row.label, row.floor)) row.floor_ratio = Ratio(row.p50, floor->p50);
    if (const Row* const grpc = find(row.label, row.grpc)) {
      row.grpc_ratio =
          IsThroughput(one.round.work()) ? Ratio(row.calls_per_s, grpc->calls_per_s) : Ratio(grpc->p50, row.p50);
    }
  }
}

}  // namespace

Runner::Runner(std::string directory, const Effort& effort, Progress progress)
    : directory_(std::move(directory)), effort_(effort), progress_(std::move(progress)), cpus_(UsableCpus()) {}

Setup Runner::SetupFor(const Case& one, const std::string& contestant) const {
  Setup setup;
  setup.set_contestant(contestant);
  setup.set_spin(one.spin);
  setup.set_placement(one.placement);
  setup.set_client_cpu(cpus_.front());
  setup.set_server_cpu(cpus_.back());
  return setup;
}

Pair* Runner::PairFor(const Case& one, const std::string& contestant) {
  const std::string name = one.series.empty() ? contestant : absl::StrCat(one.label, " ", contestant);
  std::unique_ptr<Pair>& pair = pairs_[name];
  if (pair == nullptr) pair = std::make_unique<Pair>(SetupFor(one, contestant), directory_);
  return pair.get();
}

std::vector<Row> Runner::Measure(const std::vector<Case>& series) {
  const Case& first = series.front();
  if (first.cost) {
    pairs_.clear();
    return MeasureCost(first);
  }
  const std::string group = first.series.empty() ? absl::StrCat(first.placement, " ", first.spin) : first.series;
  if (group != group_) pairs_.clear();
  group_ = group;
  const int64_t began = MonotonicNanos();
  const double busy_before = BusySeconds();
  double own_cpu = 0;
  std::vector<std::map<std::string, Rounds>> rounds(series.size());
  for (int round = 0; round < first.rounds; ++round) {
    for (size_t i = 0; i < series.size(); ++i) {
      for (const std::string& contestant : series[i].contestants) {
        progress_(series[i], absl::StrCat("round ", round + 1, " of ", first.rounds, ", ", contestant));
        const Pair::Outcome outcome = PairFor(series[i], contestant)->Run(series[i].round);
        own_cpu += outcome.cpu_seconds;
        rounds[i][contestant].Add(outcome);
      }
    }
  }
  const double seconds = static_cast<double>(MonotonicNanos() - began) / 1e9;
  const double others = std::max(BusySeconds() - busy_before - own_cpu, 0.0) / seconds;
  std::vector<Row> all;
  for (size_t i = 0; i < series.size(); ++i) {
    std::vector<Row> rows;
    for (const std::string& contestant : series[i].contestants) {
      rows.push_back(RowOf(series[i], contestant, rounds[i][contestant]));
    }
    if (series[i].round.work() == SLEEPER) AddSameConnection(series[i], &rounds[i], &rows);
    for (Row& row : rows) row.others_cpu = others;
    Compare(series[i], &rows);
    std::move(rows.begin(), rows.end(), std::back_inserter(all));
  }
  return all;
}

std::vector<Row> Runner::MeasureCost(const Case& one) {
  std::vector<Row> rows;
  for (const std::string& contestant : one.contestants) {
    progress_(one, contestant);
    Row row;
    row.measured = one;
    row.label = one.label;
    row.contestant = contestant;
    row.cost = CostOf(SetupFor(one, contestant), directory_, one.round, effort_.quick);
    rows.push_back(std::move(row));
  }
  for (const char* const program : {"nearcall", "grpc"}) {
    Row row;
    row.measured = one;
    row.label = "binary";
    row.contestant = program;
    row.cost = SizeOf(program);
    if (!row.cost.empty()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace nearcall::benchmarks
