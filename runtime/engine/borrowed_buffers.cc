#include "runtime/engine/borrowed_buffers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "nearcall/internal/buffer_memory.h"

namespace nearcall {

using internal::MutexLock;

// One loan.
class BorrowedBuffers::Handle final : public internal::BufferMemory {
 public:
  Handle(std::shared_ptr<SharedMemory> memory, std::shared_ptr<Loans> loans, uint32_t buffer)
      : memory_(std::move(memory)), loans_(std::move(loans)), buffer_(buffer) {}
  ~Handle() override { loans_->Give(buffer_, /*refused=*/memory_ == nullptr); }

 private:
  const std::shared_ptr<SharedMemory> memory_;
  const std::shared_ptr<Loans> loans_;
  const uint32_t buffer_;
};

void BorrowedBuffers::Loans::Give(uint32_t buffer, bool refused) {
  MutexLock lock(&mu);
  --open[buffer];  // before the peer can hear of it
  if (notices != nullptr) notices->SendNotice(FrameKind::kRelease, buffer, refused ? 1 : 0);
}

void BorrowedBuffers::Close() {
  MutexLock lock(&loans_->mu);
  loans_->notices = nullptr;
}

BorrowedBuffers::Entry* BorrowedBuffers::Find(uint32_t buffer) {
  if (buffer >= kMaxBuffers) return nullptr;
  if (entries_ == nullptr) entries_ = std::make_unique<std::array<Entry, kMaxBuffers>>();
  return &(*entries_)[buffer];
}

BorrowedBuffers::Entry* BorrowedBuffers::FindKnown(uint32_t buffer) {
  Entry* const entry = entries_ == nullptr ? nullptr : Find(buffer);
  return entry != nullptr && entry->known() ? entry : nullptr;
}

bool BorrowedBuffers::Adopt(uint32_t buffer, Fd fd) {
  Entry* const entry = Find(buffer);
  if (entry == nullptr) return false;
  if (entry->memory != nullptr) return true;  // two calls may bring a new buffer at the same time
  const absl::StatusOr<size_t> size = SharedMemory::SizeOf(fd);
  if (!size.ok()) return false;
  if (max_bytes_ >= 0 && *size > static_cast<uint64_t>(max_bytes_ - bytes_)) {
    entry->refused = absl::ResourceExhaustedError(absl::StrCat(
        "an attached buffer of ", *size, " bytes would go beyond the ", max_bytes_, " bytes of ", limit_name_));
    return true;
  }
  absl::StatusOr<std::shared_ptr<SharedMemory>> memory = SharedMemory::Open(std::move(fd), *size);
  if (!memory.ok()) {
    entry->refused = absl::ResourceExhaustedError(memory.status().message());
    return true;
  }
  entry->memory = *std::move(memory);
  entry->refused = absl::OkStatus();
  bytes_ += static_cast<int64_t>(entry->memory->size());
  return true;
}

bool BorrowedBuffers::Lost(uint32_t buffer) {
  Entry* const entry = Find(buffer);
  if (entry == nullptr) return false;
  if (!entry->known()) {
    entry->refused = absl::ResourceExhaustedError(
        "an attached buffer's file descriptor could not be opened: this process has too many");
  }
  return true;
}

bool BorrowedBuffers::Borrow(uint32_t buffer, uint64_t size, Buffer* out, absl::Status* error) {
  const Entry* const entry = FindKnown(buffer);
  if (entry == nullptr || (entry->memory != nullptr && size > entry->memory->size())) return false;
  {
    MutexLock lock(&loans_->mu);
    ++loans_->open[buffer];
  }
  const auto handle = std::make_shared<Handle>(entry->memory, loans_, buffer);
  if (entry->memory == nullptr) {
    *error = entry->refused;  // and the loan ends here
  } else {
    *out = internal::BufferAccess::MakeReadOnly(handle, entry->memory->data(), size);
  }
  return true;
}

bool BorrowedBuffers::Forget(uint32_t buffer) {
  Entry* const entry = FindKnown(buffer);
  if (entry == nullptr) return false;
  {
    MutexLock lock(&loans_->mu);
    if (loans_->open[buffer] != 0) return false;
  }
  if (entry->memory != nullptr) bytes_ -= static_cast<int64_t>(entry->memory->size());
  *entry = Entry();
  return true;
}

}  // namespace nearcall
