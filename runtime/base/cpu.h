#ifndef NEARCALL_RUNTIME_BASE_CPU_H_
#define NEARCALL_RUNTIME_BASE_CPU_H_

#include <cstddef>

namespace nearcall {

// What one CPU fetches from another at a time; things that two sides write are kept this far apart.
inline constexpr size_t kCacheLine = 64;

// Tells the CPU that this is a spin loop.
inline void CpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How many CPUs the calling thread may run on, by its affinity.
int AllowedCpus();

// A full memory barrier on every thread of this process, wherever it is. For the rare side of a protocol whose frequent
// side is not to pay for one. False where the kernel has none.
bool MembarrierOfProcess();

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_CPU_H_
