#ifndef NEARCALL_BENCHMARKS_RUNNER_H_
#define NEARCALL_BENCHMARKS_RUNNER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/cases.h"
#include "benchmarks/child.h"
#include "benchmarks/row.h"

namespace nearcall::benchmarks {

// Measures cases: starts the processes, gives each contestant of each case its turn, round by round, and sums up.
//
// Processes live on from case to case as long as they are of use; those whose turn it is not sleep. In a series each
// case has processes of its own.
//
// Threads: thread-compatible.
class Runner {
 public:
  // Is told which case is being measured, and where in it.
  using Progress = std::function<void(const Case& one, const std::string& where)>;

  // `directory` is for sockets.
  Runner(std::string directory, const Effort& effort, Progress progress);

  // Measures the cases of one series, round by round and not one after the other: a machine that becomes slower
  // meanwhile is slower for all of them.
  std::vector<Row> Measure(const std::vector<Case>& series);

 private:
  Pair* PairFor(const Case& one, const std::string& contestant);
  Setup SetupFor(const Case& one, const std::string& contestant) const;
  std::vector<Row> MeasureCost(const Case& one);

  const std::string directory_;
  const Effort effort_;
  const Progress progress_;
  const std::vector<int> cpus_;
  std::map<std::string, std::unique_ptr<Pair>> pairs_;
  std::string group_;  // what the processes in pairs_ have in common
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_RUNNER_H_
