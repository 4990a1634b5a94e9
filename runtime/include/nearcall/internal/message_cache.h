#ifndef NEARCALL_INTERNAL_MESSAGE_CACHE_H_
#define NEARCALL_INTERNAL_MESSAGE_CACHE_H_

#include <cstddef>

namespace nearcall {
namespace internal {

// A cleared message of type M for the length of one call. Each thread keeps one and reuses it, so that a warm call does
// not pay for building and freeing the message's fields; a nested call of the same type gets a fresh one. A message that
// has held much is not kept: one large call must not pin its memory for the thread's life.
//
// Threads: to be destroyed on the thread that made it.
template <class M>
class CachedMessage {
 public:
  CachedMessage() {
    Cache& cache = ThreadCache();
    if (cache.taken) {
      message_ = new M;
      return;
    }
    cache.taken = true;
    owner_ = &cache;
    if (cache.message == nullptr) cache.message = new M;
    message_ = cache.message;
  }
  ~CachedMessage() {
    if (owner_ == nullptr) {
      delete message_;
      return;
    }
    owner_->taken = false;
    if (message_->ByteSizeLong() > kMaxKeptBytes) {
      delete message_;
      owner_->message = nullptr;
    } else {
      message_->Clear();
    }
  }
  CachedMessage(const CachedMessage&) = delete;
  CachedMessage& operator=(const CachedMessage&) = delete;

  M* get() const { return message_; }

 private:
  static constexpr size_t kMaxKeptBytes = 16 * 1024;  // serialised

  struct Cache {
    M* message = nullptr;
    bool taken = false;
    ~Cache() { delete message; }
  };
  static Cache& ThreadCache() {
    static thread_local Cache cache;
    return cache;
  }

  M* message_;
  Cache* owner_ = nullptr;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_MESSAGE_CACHE_H_
