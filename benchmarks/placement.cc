#include "benchmarks/placement.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace nearcall::benchmarks {
namespace {

std::atomic<bool> pinned_apart{false};  // relaxed: set before there are threads that ask

// What the kernel says, into `set`.
int KernelAffinity(pid_t thread, size_t size, cpu_set_t* set) {
  memset(set, 0, size);
  const long bytes = syscall(SYS_sched_getaffinity, thread, size, set);
  return bytes < 0 ? -1 : 0;
}

}  // namespace

std::vector<int> UsableCpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (KernelAffinity(0, sizeof set, &set) != 0) return {0};
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
  pinned_apart.store(apart, std::memory_order_relaxed);
}

ScopedPlace::ScopedPlace(const Setup& setup, bool server) {
  KernelAffinity(0, sizeof before_, &before_);
  Place(setup, server);
}

ScopedPlace::~ScopedPlace() { sched_setaffinity(0, sizeof before_, &before_); }

}  // namespace nearcall::benchmarks

// Instead of the C library's.
extern "C" int sched_getaffinity(pid_t thread, size_t size, cpu_set_t* set) noexcept {
  const int result = nearcall::benchmarks::KernelAffinity(thread, size, set);
  if (result == 0 && nearcall::benchmarks::pinned_apart.load(std::memory_order_relaxed)) {
    CPU_SET(0, set);
    CPU_SET(1, set);
  }
  return result;
}
