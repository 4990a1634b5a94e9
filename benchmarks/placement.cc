#include "benchmarks/placement.h"

namespace nearcall::benchmarks {

std::vector<int> UsableCpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

void Place(const Setup& setup, bool server) {
  if (setup.placement() == FREE) return;
  const bool apart = setup.placement() == APART && setup.client_cpu() != setup.server_cpu();
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(server && apart ? setup.server_cpu() : setup.client_cpu(), &set);
  sched_setaffinity(0, sizeof set, &set);
}

ScopedPlace::ScopedPlace(const Setup& setup, bool server) {
  sched_getaffinity(0, sizeof before_, &before_);
  Place(setup, server);
}

ScopedPlace::~ScopedPlace() { sched_setaffinity(0, sizeof before_, &before_); }

}  // namespace nearcall::benchmarks
