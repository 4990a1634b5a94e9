// The measurement of 0002-doorbell.md: how long it takes to wake a process that sleeps on an eventfd or on a pipe, and
// to be woken by it in return.
//   g++ -O2 -std=c++17 docs/adr/0002_doorbell_bench.cc -o /tmp/bench && /tmp/bench

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace {

constexpr int kRoundTrips = 20'000;

struct Bell {
  bool is_eventfd;
  int sleep_on;
  int ring;
};

Bell Make(bool is_eventfd) {
  int ends[2];
  if (is_eventfd) {
    ends[0] = ends[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  } else if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) {
    abort();
  }
  return Bell{is_eventfd, ends[0], ends[1]};
}

void Ring(const Bell& bell) {
  const uint64_t one = 1;
  if (write(bell.ring, &one, bell.is_eventfd ? sizeof one : 1) < 0) abort();
}

// Sleeps in epoll until somebody rings, then takes the ring back.
void Await(int epoll, const Bell& bell) {
  epoll_event event;
  while (epoll_wait(epoll, &event, 1, -1) != 1) {
  }
  char rings[256];
  if (read(bell.sleep_on, rings, bell.is_eventfd ? sizeof(uint64_t) : sizeof rings) < 0) abort();
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

void Measure(bool is_eventfd, bool one_cpu) {
  const Bell bells[2] = {Make(is_eventfd), Make(is_eventfd)};
  const pid_t child = fork();
  const Bell& mine = bells[child == 0];
  const Bell& theirs = bells[child != 0];
  PinTo(child == 0 && !one_cpu ? 1 : 0);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  epoll_ctl(epoll, EPOLL_CTL_ADD, mine.sleep_on, &event);
  if (child == 0) {
    for (int i = 0; i < kRoundTrips; ++i) {
      Await(epoll, mine);
      Ring(theirs);
    }
    _exit(0);
  }
  std::vector<double> micros;
  for (int i = 0; i < kRoundTrips; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    Ring(theirs);
    Await(epoll, mine);
    micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count());
  }
  waitpid(child, nullptr, 0);
  std::sort(micros.begin(), micros.end());
  printf("%-8s %-8s p10 %6.2f  p50 %6.2f  p90 %6.2f us\n", is_eventfd ? "eventfd" : "pipe",
         one_cpu ? "one CPU" : "two CPUs", micros[kRoundTrips / 10], micros[kRoundTrips / 2],
         micros[kRoundTrips * 9 / 10]);
}

}  // namespace

int main() {
  for (int round = 0; round < 3; ++round) {
    for (const bool one_cpu : {false, true}) {
      for (const bool is_eventfd : {true, false}) Measure(is_eventfd, one_cpu);
    }
  }
}
