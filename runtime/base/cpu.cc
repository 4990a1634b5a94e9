#include "runtime/base/cpu.h"

#include <sched.h>

#include <thread>

namespace nearcall {

int AllowedCpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  // More CPUs than cpu_set_t holds: certainly more than one.
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace nearcall
