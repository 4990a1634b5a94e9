// Two eventfds. Each side blocks in read() on its own: the least that waking a process and being woken costs. Or in
// epoll, which watches a socket as well: what that costs one who must not miss that the peer has died.

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "benchmarks/floors/floors.h"
#include "runtime/base/fd.h"

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

class EventfdByEpoll final : public Floor {
 public:
  EventfdByEpoll() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) Die("cannot make a pair of sockets");
    socket_ = Fd(ends[0]);
    peer_ = Fd(ends[1]);
    Watch(socket_.get());
  }
  // Nobody reads before the end: each ring is an event by itself.
  void Serve(const Round&) override {
    Watch(kPingFd);
    for (bool over = false; !over;) {
      Wait();
      over = over_->load(std::memory_order_acquire);  // set before the ring that it is about
      Ring(kPongFd, kPing);
    }
    Take(kPingFd);
    over_->store(false, std::memory_order_relaxed);
  }
  Sample Drive(const Round& round) override {
    Watch(kPongFd);
    Sample sample = Repeat(round, [this] {
      Ring(kPingFd, kPing);
      Wait();
    });
    over_->store(true, std::memory_order_release);
    Ring(kPingFd, kPing);
    Wait();
    Take(kPongFd);
    return sample;
  }

 private:
  void Watch(int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST) Die("cannot watch a descriptor");
  }
  void Wait() {
    epoll_event event;
    while (epoll_wait(epoll_.get(), &event, 1, -1) != 1) {
    }
  }

  const Fd epoll_;
  Fd socket_, peer_;
  std::atomic<bool>* const over_ = static_cast<std::atomic<bool>*>(MapSharedPage());
};

}  // namespace

std::unique_ptr<Floor> NewEventfd() { return std::make_unique<Eventfd>(); }
std::unique_ptr<Floor> NewEventfdByEpoll() { return std::make_unique<EventfdByEpoll>(); }

}  // namespace nearcall::benchmarks
