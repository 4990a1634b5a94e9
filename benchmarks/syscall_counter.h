#ifndef NEARCALL_BENCHMARKS_SYSCALL_COUNTER_H_
#define NEARCALL_BENCHMARKS_SYSCALL_COUNTER_H_

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace nearcall::benchmarks {

// Counts the system calls of processes from its construction on, by the kernel's tracepoint: those who are counted run
// as fast as ever. That takes a tracefs and the right to use it, as root has.
//
// Threads: thread-compatible.
class SyscallCounter {
 public:
  explicit SyscallCounter(const std::vector<pid_t>& processes);
  ~SyscallCounter();
  SyscallCounter(const SyscallCounter&) = delete;
  SyscallCounter& operator=(const SyscallCounter&) = delete;

  int64_t Count() const;  // -1: cannot count here

 private:
  std::vector<int> events_;  // one a thread; threads that it starts are counted with it
  bool works_ = false;
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_SYSCALL_COUNTER_H_
