// Two eventfds, each side blocking in read() on its own: the least that waking a process and being woken costs.

#include <unistd.h>

#include <cstdint>

#include "benchmarks/floors/floors.h"

namespace nearcall::benchmarks {
namespace {

constexpr uint64_t kPing = 1;
constexpr uint64_t kOver = 2;

uint64_t Take(int fd) {
  uint64_t value = 0;
  if (read(fd, &value, sizeof value) != sizeof value) Die("cannot read an eventfd");
  return value;
}

void Ring(int fd, uint64_t value) {
  if (write(fd, &value, sizeof value) != sizeof value) Die("cannot write to an eventfd");
}

class Eventfd final : public Floor {
 public:
  void Serve(const Round&) override {
    while (Take(kPingFd) != kOver) Ring(kPongFd, kPing);
  }
  Sample Drive(const Round& round) override {
    Sample sample = Repeat(round, [] {
      Ring(kPingFd, kPing);
      Take(kPongFd);
    });
    Ring(kPingFd, kOver);
    return sample;
  }
};

}  // namespace

std::unique_ptr<Floor> NewEventfd() { return std::make_unique<Eventfd>(); }

}  // namespace nearcall::benchmarks
