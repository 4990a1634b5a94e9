#ifndef NEARCALL_RUNTIME_ENGINE_CREDIT_H_
#define NEARCALL_RUNTIME_ENGINE_CREDIT_H_

#include <atomic>
#include <cstdint>

#include "runtime/wire/frame.h"

namespace nearcall {

// What a stream's sender may still send, as the receiver granted it (PROTOCOL.md, "Flow control").
//
// Threads: thread-safe; one writer at a time.
class Credit {
 public:
  explicit Credit(int64_t initial = kInitialCredit) : balance_(initial) {}
  // As new. Nobody may use it meanwhile.
  void Reset(int64_t initial = kInitialCredit) { balance_.store(initial, std::memory_order_relaxed); }
  // Whether a message may be sent now.
  bool available() const { return balance_.load(std::memory_order_seq_cst) > 0; }
  // Pays for one message.
  void Spend(size_t message_bytes) {
    balance_.fetch_sub(static_cast<int64_t>(message_bytes) + kMessageOverhead, std::memory_order_seq_cst);
  }
  // False if the peer has granted an absurd amount by now.
  bool Grant(uint32_t bytes) { return balance_.fetch_add(bytes, std::memory_order_seq_cst) < kMaxBalance; }

 private:
  static constexpr int64_t kMaxBalance = int64_t{1} << 40;
  std::atomic<int64_t> balance_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_CREDIT_H_
