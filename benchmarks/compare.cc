// Compares every transport of nearcall with what the machine charges for the same exchange (the floors) and with gRPC:
// in one run, in turns, each server and each client in a process of its own, with the same messages.
//
//   ./bazelw run -c opt //benchmarks:compare                       # some minutes
//   ./bazelw run -c opt //benchmarks:compare -- --quick            # 40 seconds
//   ./bazelw run -c opt //benchmarks:compare -- --case='unary*'    # see --list
//
// docs/PERFORMANCE.md says what the rows mean. Wants two CPUs with nothing else to do, and marks rows where they had.

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/cases.h"
#include "benchmarks/child.h"
#include "benchmarks/contestant.h"
#include "benchmarks/placement.h"
#include "benchmarks/report.h"
#include "benchmarks/runner.h"

ABSL_FLAG(std::vector<std::string>, case, {"*"},
          "globs of the cases to measure, by name (unary) or in full (unary/64)");
ABSL_FLAG(std::vector<std::string>, contestants, {}, "measure these only: shm,cache-line; empty: all");
ABSL_FLAG(bool, quick, false, "fewer and shorter rounds, fewer steps");
ABSL_FLAG(bool, list, false, "only print the names of the cases");
ABSL_FLAG(std::string, json, "", "file for the rows, as an array of objects");
ABSL_FLAG(std::string, plot, "", "file for the plots, as SVG");
ABSL_FLAG(int, rounds, 0, "rounds of each case; 0: 9, or 3 with --quick");
ABSL_FLAG(int, round_ms, 0, "how long a round measures; 0: 100, or 30 with --quick");
ABSL_FLAG(std::string, role, "", "for this program itself");

namespace nearcall::benchmarks {
namespace {

// What is being measured: on a terminal over and over on one line, elsewhere each case once.
class ProgressLine {
 public:
  explicit ProgressLine(const std::vector<Case>& cases) : cases_(cases) {}
  ~ProgressLine() { Write(""); }

  void Show(const Case& one, const std::string& where) {
    size_t number = 1;
    for (const Case& other : cases_) {
      if (other.label == one.label) break;
      ++number;
    }
    const std::string label = absl::StrFormat("[%d/%d] %s", number, cases_.size(), one.label);
    if (terminal_) {
      Write(absl::StrCat(label, ": ", where));
    } else if (number > shown_) {
      shown_ = number;
      Write(label);
    }
  }

 private:
  void Write(const std::string& line) {
    if (terminal_) {
      fprintf(stderr, "\r\033[K%s", line.c_str());
    } else if (!line.empty()) {
      fprintf(stderr, "%s\n", line.c_str());
    }
    fflush(stderr);
  }

  const std::vector<Case>& cases_;
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  size_t shown_ = 0;
};

// Those that begin at *at and are measured together; *at is then behind them.
std::vector<Case> NextSeries(const std::vector<Case>& cases, size_t* at) {
  std::vector<Case> series;
  do {
    series.push_back(cases[(*at)++]);
  } while (*at < cases.size() && !cases[*at].series.empty() && cases[*at].series == series.front().series);
  return series;
}

// `bazel run` starts programs in its own tree: a relative path means the caller's directory.
std::string InCallersDirectory(const std::string& path) {
  const char* const directory = getenv("BUILD_WORKING_DIRECTORY");
  return path[0] == '/' || directory == nullptr ? path : absl::StrCat(directory, "/", path);
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream file(InCallersDirectory(path));
  file << content;
  file.close();
  if (!file) Die(absl::StrCat("cannot write ", path));
}

Effort EffortOfFlags() {
  Effort effort;
  effort.quick = absl::GetFlag(FLAGS_quick);
  if (effort.quick) {
    effort.rounds = 3;
    effort.measure_us = 30'000;
  }
  if (absl::GetFlag(FLAGS_rounds) > 0) effort.rounds = absl::GetFlag(FLAGS_rounds);
  if (absl::GetFlag(FLAGS_round_ms) > 0) effort.measure_us = absl::GetFlag(FLAGS_round_ms) * 1000;
  return effort;
}

void SayWhere() {
  const std::vector<int> cpus = UsableCpus();
  double load[1] = {0};
  getloadavg(load, 1);
  printf("%zu CPUs, load %.2f before. ", cpus.size(), load[0]);
  if (cpus.size() < 2) {
    printf("One CPU for all: figures that take two are not to be had here.\n");
  } else {
    printf("Unless the case says otherwise clients are pinned to CPU %d and servers to CPU %d.\n", cpus.front(),
           cpus.back());
  }
  printf("x floor: times the median of what the machine charges for the exchange. x gRPC: times better than gRPC.\n");
  printf("BUSY: so many CPUs were taken by other processes, or stolen from the machine; believe such rows less.\n\n");
}

std::vector<Case> CasesOfFlags() {
  std::vector<Case> cases = Cases(EffortOfFlags(), absl::GetFlag(FLAGS_case));
  const std::vector<std::string> wanted = absl::GetFlag(FLAGS_contestants);
  if (wanted.empty()) return cases;
  const auto unwanted = [&wanted](const std::string& name) {
    return std::find(wanted.begin(), wanted.end(), name) == wanted.end();
  };
  for (Case& one : cases) {
    std::vector<std::string>& all = one.contestants;
    all.erase(std::remove_if(all.begin(), all.end(), unwanted), all.end());
  }
  return cases;
}

int Run() {
  const std::vector<Case> cases = CasesOfFlags();
  if (absl::GetFlag(FLAGS_list)) {
    for (const Case& one : cases) printf("%s\n", one.label.c_str());
    return 0;
  }
  if (cases.empty()) Die("no such case: see --list");
  // Hundreds of connections take thousands of descriptors.
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  std::string directory = absl::StrCat(std::filesystem::temp_directory_path().string(), "/nearcall-compare-XXXXXX");
  if (mkdtemp(directory.data()) == nullptr) Die("cannot make a directory for sockets");
  SayWhere();
  const absl::Time began = absl::Now();
  std::vector<Row> rows;
  {
    ProgressLine progress(cases);
    Runner runner(directory, EffortOfFlags(),
                  [&progress](const Case& one, const std::string& where) { progress.Show(one, where); });
    for (size_t at = 0; at < cases.size();) {
      for (Row& row : runner.Measure(NextSeries(cases, &at))) rows.push_back(std::move(row));
    }
  }
  std::filesystem::remove_all(directory);
  printf("%s\n%s\ntook %.0f s\n", Table(rows).c_str(), Targets(rows).c_str(),
         absl::ToDoubleSeconds(absl::Now() - began));
  if (!absl::GetFlag(FLAGS_json).empty()) WriteFile(absl::GetFlag(FLAGS_json), Json(rows));
  if (!absl::GetFlag(FLAGS_plot).empty()) WriteFile(absl::GetFlag(FLAGS_plot), Svg(rows));
  return 0;
}

}  // namespace
}  // namespace nearcall::benchmarks

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("compares nearcall with the floors of the machine and with gRPC");
  absl::ParseCommandLine(argc, argv);
  const std::string role = absl::GetFlag(FLAGS_role);
  if (role.empty()) return nearcall::benchmarks::Run();
  return nearcall::benchmarks::RunChild(role == "server");
}
