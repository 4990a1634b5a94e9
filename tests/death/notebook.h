#ifndef NEARCALL_TESTS_DEATH_NOTEBOOK_H_
#define NEARCALL_TESTS_DEATH_NOTEBOOK_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/base/fd.h"

namespace nearcall::testing {

// What processes write down where none of them takes it along when it dies: a file that each of them maps.
//
// Threads, processes: all may use it at once. Sequentially consistent; nothing here is hot.
struct Notebook {
  static constexpr int kCalls = 1 << 22;
  static constexpr int kSteps = 256;

  // By the number that a call carries: how often its handler has begun, and how often that has ended.
  std::atomic<uint8_t> begun[kCalls];
  std::atomic<uint8_t> ended[kCalls];
  std::atomic<uint8_t> reached[kSteps];
  // When a process struck itself, on the monotonic clock; 0: it has not.
  std::atomic<int64_t> struck_at;

  static Notebook* Open(const std::string& path) {
    const Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd.valid() || ftruncate(fd.get(), sizeof(Notebook)) != 0) abort();
    void* const at = mmap(nullptr, sizeof(Notebook), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) abort();
    return static_cast<Notebook*>(at);
  }
};
static_assert(std::atomic<uint8_t>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_DEATH_NOTEBOOK_H_
