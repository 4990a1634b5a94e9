#include "benchmarks/cost.h"

#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/child.h"
#include "benchmarks/syscall_counter.h"

namespace nearcall::benchmarks {
namespace {

// The figures of a file of "Name:  figure [kB]" lines.
std::map<std::string, double> FiguresIn(const std::string& path) {
  std::map<std::string, double> figures;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream rest(line.substr(colon + 1));
    double figure;
    if (rest >> figure) figures[line.substr(0, colon)] = figure;
  }
  return figures;
}

struct Memory {
  double own = 0;     // Pss without shared memory
  double shared = 0;  // Pss of shared memory: half of what two processes have mapped
};

Memory MemoryOf(pid_t pid) {
  std::map<std::string, double> rollup = FiguresIn(absl::StrCat("/proc/", pid, "/smaps_rollup"));
  return {rollup["Pss"] - rollup["Pss_Shmem"], rollup["Pss_Shmem"]};
}

}  // namespace

std::vector<std::pair<std::string, double>> CostOf(const Setup& setup, const std::string& directory, Round round,
                                                   bool quick) {
  Pair pair(setup, directory);
  std::vector<std::pair<std::string, double>> costs;
  const int connections = round.clients();
  const pid_t client = pair.client()->pid();
  const pid_t server = pair.server()->pid();

  // The first round starts what starts late.
  round.set_work(UNARY);
  round.set_clients(1);
  pair.Run(round);
  SyscallCounter counter({client, server});
  const Sample sample = pair.Run(round).sample;
  const int64_t syscalls = counter.Count();
  if (syscalls >= 0) {
    costs.emplace_back("syscalls_per_call", static_cast<double>(syscalls) / static_cast<double>(sample.calls()));
  }

  const Memory client_before = MemoryOf(client);
  const Memory server_before = MemoryOf(server);
  round.set_work(CONNECT);
  round.set_clients(connections + 1);
  pair.Run(round);
  const Memory client_after = MemoryOf(client);
  const Memory server_after = MemoryOf(server);
  costs.emplace_back("client_kb", (client_after.own - client_before.own) / connections);
  costs.emplace_back("server_kb", (server_after.own - server_before.own) / connections);
  costs.emplace_back(
      "shared_kb",
      (client_after.shared - client_before.shared + server_after.shared - server_before.shared) / connections);

  absl::SleepFor(absl::Milliseconds(quick ? 300 : 1000));
  costs.emplace_back("client_threads", FiguresIn(absl::StrCat("/proc/", client, "/status"))["Threads"]);
  costs.emplace_back("server_threads", FiguresIn(absl::StrCat("/proc/", server, "/status"))["Threads"]);
  const double seconds = quick ? 0.5 : 3;
  const int64_t before = pair.CpuNanos();
  absl::SleepFor(absl::Seconds(seconds));
  costs.emplace_back("idle_cpu_ms_per_s", static_cast<double>(pair.CpuNanos() - before) / 1e6 / seconds);
  return costs;
}

}  // namespace nearcall::benchmarks
