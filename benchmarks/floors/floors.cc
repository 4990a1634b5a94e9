#include "benchmarks/floors/floors.h"

#include <sys/mman.h>

#include "benchmarks/contestants.h"

namespace nearcall::benchmarks {

std::unique_ptr<Floor> NewFloor(const Setup& setup, bool server) {
  const std::string& name = setup.contestant();
  if (name == "cache-line") return NewCacheLine();
  if (name == "eventfd") return NewEventfd();
  if (name == "eventfd-epoll") return NewEventfdByEpoll();
  if (name == "raw-message") return NewMessage();
  if (name == "memcpy") return NewMemcpy();
  if (name == "raw-unix") return NewUnixSocket(setup.address(), server, false);
  if (name == "raw-unix-spin") return NewUnixSocket(setup.address(), server, true);
  if (name == "raw-tcp") return NewTcpSocket(setup.address(), server, false);
  if (name == "raw-tcp-spin") return NewTcpSocket(setup.address(), server, true);
  return nullptr;
}

void* MapSharedPage() {
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, kMemoryFd, 0);
  if (page == MAP_FAILED) Die("cannot map the shared page");
  return page;
}

}  // namespace nearcall::benchmarks
