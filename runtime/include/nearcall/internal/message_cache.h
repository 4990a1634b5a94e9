#ifndef NEARCALL_INTERNAL_MESSAGE_CACHE_H_
#define NEARCALL_INTERNAL_MESSAGE_CACHE_H_

#include <cstddef>
#include <cstdint>

#include "nearcall/internal/message.h"

namespace nearcall {
namespace internal {

enum class MessageRole { kRequest, kResponse };

// A cleared message of type M for the length of one call. Each thread keeps one for each role and reuses it, so that a
// warm call does not pay for building and freeing the message's fields; a nested call of the same type gets a fresh
// one. A message that has held much is not kept: one large call must not pin its memory for the thread's life.
//
// Threads: to be destroyed on the thread that made it.
template <class M, MessageRole kRole>
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
    if (measured_.size == kUnknownSize) measured_.size = message_->ByteSizeLong();
    if (measured_.size > kMaxKeptBytes) {
      delete message_;
      owner_->message = nullptr;
    } else {
      message_->Clear();
    }
  }
  CachedMessage(const CachedMessage&) = delete;
  CachedMessage& operator=(const CachedMessage&) = delete;

  M* get() const { return message_; }
  // The message as the target of a read, which also tells its size.
  InMessage target() {
    measured_.target = InMessage(message_);
    return InMessage(&measured_);
  }
  // The message was serialised: protobuf knows its size.
  void SizeIsCached() { measured_.size = static_cast<size_t>(message_->GetCachedSize()); }

 private:
  static constexpr size_t kMaxKeptBytes = 16 * 1024;  // serialised
  static constexpr size_t kUnknownSize = SIZE_MAX;

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
  MeasuredMessage measured_{InMessage(), kUnknownSize};
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_MESSAGE_CACHE_H_
