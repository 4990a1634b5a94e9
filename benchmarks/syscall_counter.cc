#include "benchmarks/syscall_counter.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace nearcall::benchmarks {
namespace {

// The number of the tracepoint at the entrance of every system call; -1 where there is none to be seen.
int TracepointId() {
  for (const char* const root : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    std::ifstream file(absl::StrCat(root, "/events/raw_syscalls/sys_enter/id"));
    int id;
    if (file >> id) return id;
  }
  return -1;
}

int OpenEvent(int id, pid_t thread) {
  perf_event_attr attributes{};
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof attributes;
  attributes.config = static_cast<uint64_t>(id);
  attributes.inherit = 1;
  return static_cast<int>(syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

}  // namespace

SyscallCounter::SyscallCounter(const std::vector<pid_t>& processes) {
  const int id = TracepointId();
  works_ = id >= 0;
  for (const pid_t process : processes) {
    DIR* const threads = works_ ? opendir(absl::StrCat("/proc/", process, "/task").c_str()) : nullptr;
    if (threads == nullptr) continue;
    while (const dirent* const entry = readdir(threads)) {
      const pid_t thread = atoi(entry->d_name);
      if (thread <= 0) continue;
      const int event = OpenEvent(id, thread);
      works_ = works_ && event >= 0;
      if (event >= 0) events_.push_back(event);
    }
    closedir(threads);
  }
}

SyscallCounter::~SyscallCounter() {
  for (const int event : events_) close(event);
}

int64_t SyscallCounter::Count() const {
  if (!works_) return -1;
  int64_t sum = 0;
  for (const int event : events_) {
    int64_t count = 0;
    if (read(event, &count, sizeof count) != sizeof count) return -1;
    sum += count;
  }
  return sum;
}

}  // namespace nearcall::benchmarks
