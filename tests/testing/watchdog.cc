#include "tests/testing/watchdog.h"

#include <dirent.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"

namespace nearcall::testing {
namespace {

// Not the wall clock: a test lets that jump.
using Clock = std::chrono::steady_clock;
constexpr Clock::time_point kNever = Clock::time_point::max();

struct State {
  absl::Mutex mu;
  absl::CondVar changed;
  std::string what ABSL_GUARDED_BY(mu);
  Clock::time_point until ABSL_GUARDED_BY(mu) = kNever;
};

State& TheState() {
  static State* const state = new State;
  return *state;
}

void PrintStack(int) {
  void* frames[64];
  const int count = backtrace(frames, 64);
  char line[64];
  const int length = snprintf(line, sizeof line, "--- thread %ld\n", syscall(SYS_gettid));
  if (write(STDERR_FILENO, line, static_cast<size_t>(length)) < 0) return;
  backtrace_symbols_fd(frames, count, STDERR_FILENO);
}

void PrintAllStacks() {
  signal(SIGUSR2, PrintStack);
  DIR* const tasks = opendir("/proc/self/task");
  while (const dirent* entry = readdir(tasks)) {
    const int tid = atoi(entry->d_name);
    if (tid == 0) continue;
    syscall(SYS_tgkill, getpid(), tid, SIGUSR2);
    absl::SleepFor(absl::Milliseconds(200));  // so that the stacks do not mix; nothing depends on it
  }
  closedir(tasks);
}

void Loop() {
  State& state = TheState();
  absl::MutexLock lock(&state.mu);
  for (;;) {
    if (state.until == kNever) {
      state.changed.Wait(&state.mu);
    } else {
      state.changed.WaitWithTimeout(&state.mu, absl::FromChrono(state.until - Clock::now()));
    }
    if (Clock::now() < state.until) continue;
    fprintf(stderr, "WATCHDOG: %s has hung\n", state.what.c_str());
    PrintAllStacks();
    abort();
  }
}

}  // namespace

void Watchdog::Start() {
  void* frames[1];
  backtrace(frames, 1);  // loads what it needs now, not in a signal handler
  std::thread(Loop).detach();
}

void Watchdog::Watch(const std::string& what) {
  const char* const seconds = getenv("NEARCALL_WATCHDOG_SECONDS");
  const auto patience = std::chrono::seconds(seconds != nullptr ? atoi(seconds) : 60);
  State& state = TheState();
  absl::MutexLock lock(&state.mu);
  state.what = what;
  state.until = Clock::now() + patience;
  state.changed.Signal();
}

void Watchdog::Rest() {
  State& state = TheState();
  absl::MutexLock lock(&state.mu);
  state.until = kNever;
  state.changed.Signal();
}

void Await(absl::FunctionRef<bool()> condition) {
  for (int looks = 0; !condition(); ++looks) {
    if (looks < 20) {
      std::this_thread::yield();
    } else {
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
}

}  // namespace nearcall::testing
