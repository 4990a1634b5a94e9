#ifndef NEARCALL_RUNTIME_ENGINE_QUOTA_H_
#define NEARCALL_RUNTIME_ENGINE_QUOTA_H_

#include <atomic>
#include <cstdint>

namespace nearcall {

// So much of something, and no more: connections, calls, bytes. What is taken from a quota is taken from its parent,
// too: a connection's from its user's, a user's from the server's.
//
// Threads: thread-safe. A quota without limit costs a branch.
class Quota {
 public:
  // `name` is the option that sets the limit, for errors; -1: no limit. `parent` must outlive this.
  Quota(const char* name, int64_t limit, Quota* parent = nullptr) : name_(name), limit_(limit), parent_(parent) {}
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  // Takes `amount` here and from every parent; otherwise nothing, and says which of them has not so much left.
  const Quota* Take(int64_t amount) {
    if (limit_ >= 0 && !TakeHere(amount)) return this;
    const Quota* const lacking = parent_ == nullptr ? nullptr : parent_->Take(amount);
    if (lacking != nullptr && limit_ >= 0) taken_.fetch_sub(amount, std::memory_order_release);
    return lacking;
  }
  void Give(int64_t amount) {
    if (limit_ >= 0) taken_.fetch_sub(amount, std::memory_order_release);
    if (parent_ != nullptr) parent_->Give(amount);
  }

  const char* name() const { return name_; }
  int64_t limit() const { return limit_; }
  // 0 where there is no limit.
  int64_t taken() const { return taken_.load(std::memory_order_acquire); }

 private:
  bool TakeHere(int64_t amount) {
    int64_t taken = taken_.load(std::memory_order_relaxed);
    do {
      if (amount > limit_ - taken) return false;
    } while (!taken_.compare_exchange_weak(taken, taken + amount, std::memory_order_acquire,
                                           std::memory_order_relaxed));  // pairs with the releases of those who give
    return true;
  }

  const char* const name_;
  const int64_t limit_;
  Quota* const parent_;
  std::atomic<int64_t> taken_{0};
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_QUOTA_H_
