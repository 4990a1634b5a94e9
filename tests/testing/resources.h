#ifndef NEARCALL_TESTS_TESTING_RESOURCES_H_
#define NEARCALL_TESTS_TESTING_RESOURCES_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace nearcall::testing {

// What a process holds that must not leak.
struct Resources {
  std::vector<std::string> fds;       // what the open descriptors are, sorted
  int threads = 0;
  int mappings = 0;                   // of nearcall's memfds

  // Of a process of this user; its own is getpid().
  static Resources Of(pid_t pid);
  std::string ToString() const;
};

// Waits until the process has as much as in `before` and no more, for threads and descriptors may be just going.
// `threads`: whether those count. What is left over shows when the watchdog bites.
void AwaitNoMoreThan(const Resources& before, pid_t pid, bool threads = true);

// Waits until every thread of a process has stopped, after SIGSTOP.
void AwaitStopped(pid_t pid);
// Waits until a thread of this process sleeps.
void AwaitAsleep(pid_t thread);

// The names of the files in `directory`.
std::vector<std::string> FilesIn(const std::string& directory);

// CPU time and context switches of a process so far, all threads.
struct Activity {
  long cpu_ticks = 0;
  long switches = 0;
  static Activity Of(pid_t pid);
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_RESOURCES_H_
