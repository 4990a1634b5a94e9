// One word in memory that two processes share, on a cache line of its own: the client makes it odd, the server even.

#include <atomic>
#include <cstdint>

#include "benchmarks/floors/floors.h"
#include "runtime/base/cpu.h"

namespace nearcall::benchmarks {
namespace {

constexpr uint64_t kOver = UINT64_MAX;

class CacheLine final : public Floor {
 public:
  // Release and acquire on the word pair with each other, across the two processes.
  void Serve(const Round&) override {
    while (true) {
      const uint64_t seen = word_->load(std::memory_order_acquire);
      if (seen == kOver) break;
      if (seen % 2 == 1) {
        word_->store(seen + 1, std::memory_order_release);
      } else {
        CpuRelax();
      }
    }
    word_->store(0, std::memory_order_release);
  }

  Sample Drive(const Round& round) override {
    uint64_t next = 0;
    Sample sample = Repeat(round, [this, &next] {
      word_->store(next + 1, std::memory_order_release);
      next += 2;
      while (word_->load(std::memory_order_acquire) != next) CpuRelax();
    });
    word_->store(kOver, std::memory_order_release);
    while (word_->load(std::memory_order_acquire) != 0) CpuRelax();
    return sample;
  }

 private:
  std::atomic<uint64_t>* const word_ = static_cast<std::atomic<uint64_t>*>(MapSharedPage());
};

}  // namespace

std::unique_ptr<Floor> NewCacheLine() { return std::make_unique<CacheLine>(); }

}  // namespace nearcall::benchmarks
