#include "runtime/base/fork.h"

#include <pthread.h>

#include <atomic>

namespace nearcall {
namespace {

std::atomic<uint32_t> generation{0};  // relaxed: changes only while the process has one thread

}  // namespace

uint32_t ForkGeneration() {
  static const int registered =
      pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
  return generation.load(std::memory_order_relaxed);
}

}  // namespace nearcall
