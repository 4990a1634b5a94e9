#ifndef NEARCALL_RUNTIME_ENGINE_LENT_BUFFERS_H_
#define NEARCALL_RUNTIME_ENGINE_LENT_BUFFERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "nearcall/internal/buffer_memory.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/shared_memory.h"
#include "runtime/wire/frame.h"

namespace nearcall {

class LentBuffers;

// Says to the peer what becomes of a buffer: RELEASE or FORGET. Any thread; never blocks.
class BufferNotices {
 public:
  // `detail` is the header's.
  virtual void SendNotice(FrameKind kind, uint32_t buffer, uint16_t detail) = 0;

 protected:
  ~BufferNotices() = default;
};

// The memory of a buffer that this process has made, and that peers may map.
//
// Threads: thread-safe.
class OwnMemory final : public internal::BufferMemory {
 public:
  explicit OwnMemory(std::shared_ptr<SharedMemory> memory) : memory_(std::move(memory)) {}
  ~OwnMemory() override;

  const std::shared_ptr<SharedMemory>& memory() const { return memory_; }
  // A connection that it was lent on, and which hears when no handle is left.
  void AddHome(const std::shared_ptr<LentBuffers>& home);

 private:
  const std::shared_ptr<SharedMemory> memory_;
  internal::Mutex mu_;
  std::vector<std::weak_ptr<LentBuffers>> homes_ ABSL_GUARDED_BY(mu_);  // one, as a rule
};

// Memory that peers may map; RESOURCE_EXHAUSTED.
absl::StatusOr<Buffer> MakeSharedBuffer(size_t size);

// The buffers that one side of a connection has lent to the other. Each has a number, by which the peer knows it once
// it was sent the descriptor. It can be used again when nobody here has a handle and the peer has released each loan;
// memory that more than one peer may see, or whose connection has ended, is not.
//
// Threads: thread-safe. Lifetime: shared by the session and the handles.
class LentBuffers : public std::enable_shared_from_this<LentBuffers> {
 public:
  explicit LentBuffers(BufferNotices* notices) : notices_(notices) {}
  // The session goes: its peer hears nothing any more.
  void Close();

  // Memory that was used before, or new memory.
  absl::StatusOr<Buffer> Allocate(size_t size);

  // Whether a peer can map it.
  static bool CanLend(const Buffer& buffer) {
    return dynamic_cast<OwnMemory*>(internal::BufferAccess::memory(buffer).get()) != nullptr;
  }
  struct Loan {
    uint32_t buffer;
    bool is_new;  // the descriptor must go along
  };
  // Nothing where there are too many: the bytes are to be copied.
  absl::optional<Loan> Lend(const std::shared_ptr<OwnMemory>& memory);
  // The frame with the loan was sent, or never will be.
  void Sent(const Loan& loan);
  void NotSent(const Loan& loan);
  // The peer has released a loan; `refused`: it never had the memory. False: there was none.
  bool Release(uint32_t buffer, bool refused);

  // By OwnMemory, with its last handle. `reusable`: no other peer has seen it.
  void Dropped(const std::shared_ptr<SharedMemory>& memory, bool reusable);

 private:
  // Bytes of idle memory that are kept for the next Allocate.
  static constexpr size_t kMaxIdleBytes = 128 << 20;

  struct Entry {
    std::shared_ptr<SharedMemory> memory;  // nullptr: the number is free
    uint32_t loans = 0;
    bool known = false;  // the peer has the descriptor
    bool held = false;   // here
    bool reusable = true;
    bool idle() const { return memory != nullptr && loans == 0 && !held; }
  };
  absl::optional<uint32_t> Find(const SharedMemory* memory) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Lets idle memory go that cannot be used again, or is too much.
  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  internal::Mutex mu_;
  BufferNotices* notices_ ABSL_GUARDED_BY(mu_);  // nullptr: closed
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_LENT_BUFFERS_H_
