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

// Measures cases: starts the processes, gives each contestant its turn, round by round, and sums up.
//
// Processes live on from case to case as long as they are of use; those whose turn it is not sleep.
//
// Threads: thread-compatible.
class Runner {
 public:
  // `progress` is told what is being measured. `directory` is for sockets.
  Runner(std::string directory, const Effort& effort, std::function<void(const std::string&)> progress);

  std::vector<Row> Measure(const Case& one);

 private:
  Pair* PairFor(const Case& one, const std::string& contestant);
  Setup SetupFor(const Case& one, const std::string& contestant) const;
  std::vector<Row> MeasureCost(const Case& one);

  const std::string directory_;
  const Effort effort_;
  const std::function<void(const std::string&)> progress_;
  const std::vector<int> cpus_;
  std::map<std::string, std::unique_ptr<Pair>> pairs_;
  std::string group_;  // what the processes in pairs_ have in common
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_RUNNER_H_
