// Threads that stop in the middle of whatever they do: a thread of our own sends a signal to a random one at random
// moments, and its handler sleeps. So there is a pause between any two instructions of the runtime sooner or later, in
// the middle of a record of the ring, too, which the peer then sees as far as it is written.
//
// It harms nothing else: the handler only sleeps, and keeps errno; what it interrupts is begun again by the kernel
// (SA_RESTART), or fails with EINTR where the kernel never does that.

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "tests/faults/counts.h"
#include "tests/testing/fault.h"

namespace nearcall::testing {
namespace {

constexpr int kSignal = SIGUSR1;
constexpr uint64_t kMaxPauseNanos = 1'000'000;  // between two signals
constexpr uint64_t kMaxDelayNanos = 2'000'000;

std::atomic<uint64_t> random_state;

void Sleep(uint64_t nanos) {
  const timespec time{0, static_cast<long>(nanos)};
  nanosleep(&time, nullptr);
}

void Delay(int) {
  const int saved = errno;
  Count(counts.delays);
  Sleep(NextRandom(random_state) % kMaxDelayNanos);
  errno = saved;
}

// `tasks` stays open, so that whoever counts descriptors always sees it.
std::vector<pid_t> Threads(DIR* tasks) {
  std::vector<pid_t> threads;
  rewinddir(tasks);
  while (const dirent* entry = readdir(tasks)) {
    const pid_t tid = atoi(entry->d_name);
    if (tid != 0 && tid != syscall(SYS_gettid)) threads.push_back(tid);
  }
  return threads;
}

void Loop(DIR* tasks) {
  for (;;) {
    Sleep(NextRandom(random_state) % kMaxPauseNanos);
    const std::vector<pid_t> threads = Threads(tasks);
    if (threads.empty()) continue;
    // One that has just gone is none of ours any more: then nothing happens.
    syscall(SYS_tgkill, getpid(), threads[NextRandom(random_state) % threads.size()], kSignal);
  }
}

// Before main, hence before anything counts threads.
const bool started = [] {
  if (FaultInForce() != Fault::kDelays) return false;
  random_state = FaultSeed();
  struct sigaction action {};
  action.sa_handler = Delay;
  action.sa_flags = SA_RESTART;
  sigaction(kSignal, &action, nullptr);
  // Signals for the process are for other threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(Loop, opendir("/proc/self/task")).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return true;
}();

}  // namespace
}  // namespace nearcall::testing
