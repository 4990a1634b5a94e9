#ifndef NEARCALL_RUNTIME_ENGINE_BORROWED_BUFFERS_H_
#define NEARCALL_RUNTIME_ENGINE_BORROWED_BUFFERS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "nearcall/buffer.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/fd.h"
#include "runtime/base/shared_memory.h"
#include "runtime/engine/lent_buffers.h"

namespace nearcall {

// The buffers that the other side of a connection has lent to this one; the counterpart of LentBuffers. Nothing that
// the peer says of them is trusted. A function that returns false has found that the peer breaks the rules.
//
// Threads: the poller's, but for handles and Close.
class BorrowedBuffers {
 public:
  // `max_bytes` is how much may be mapped (-1: no limit), by the option `limit_name`.
  BorrowedBuffers(int64_t max_bytes, const char* limit_name, BufferNotices* notices)
      : max_bytes_(max_bytes), limit_name_(limit_name), loans_(std::make_shared<Loans>()) {
    internal::MutexLock lock(&loans_->mu);
    loans_->notices = notices;
  }
  // The session goes: handles stay good, and the peer hears nothing of them any more.
  void Close();

  // The peer has sent the descriptor of its buffer. One of a buffer that is mapped already is closed.
  bool Adopt(uint32_t buffer, Fd fd);
  // The same, but the descriptor could not be opened here.
  bool Lost(uint32_t buffer);
  // A loan: *out are the buffer's first `size` bytes, until the last handle is gone. *error instead
  // (RESOURCE_EXHAUSTED) where it could not be mapped.
  bool Borrow(uint32_t buffer, uint64_t size, Buffer* out, absl::Status* error);
  // The peer will not lend it again.
  bool Forget(uint32_t buffer);

 private:
  // What the handles and the session share.
  struct Loans {
    void Give(uint32_t buffer, bool refused);

    internal::Mutex mu;
    BufferNotices* notices ABSL_GUARDED_BY(mu) = nullptr;
    std::array<uint32_t, kMaxBuffers> open ABSL_GUARDED_BY(mu){};
  };
  class Handle;
  struct Entry {
    std::shared_ptr<SharedMemory> memory;
    absl::Status refused;  // why it is not mapped
    bool known() const { return memory != nullptr || !refused.ok(); }
  };
  // nullptr where there is no such number; a number that the peer has not brought yet, too, for the second.
  Entry* Find(uint32_t buffer);
  Entry* FindKnown(uint32_t buffer);

  const int64_t max_bytes_;
  const char* const limit_name_;
  int64_t bytes_ = 0;
  std::unique_ptr<std::array<Entry, kMaxBuffers>> entries_;  // when there are any
  const std::shared_ptr<Loans> loans_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_BORROWED_BUFFERS_H_
