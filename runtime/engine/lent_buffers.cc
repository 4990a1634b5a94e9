#include "runtime/engine/lent_buffers.h"

namespace nearcall {

using internal::BufferAccess;
using internal::MutexLock;

OwnMemory::~OwnMemory() {
  MutexLock lock(&mu_);
  for (const std::weak_ptr<LentBuffers>& known : homes_) {
    if (const std::shared_ptr<LentBuffers> home = known.lock()) home->Dropped(memory_, homes_.size() == 1);
  }
}

void OwnMemory::AddHome(const std::shared_ptr<LentBuffers>& home) {
  MutexLock lock(&mu_);
  for (const std::weak_ptr<LentBuffers>& known : homes_) {
    if (!known.owner_before(home) && !home.owner_before(known)) return;
  }
  homes_.push_back(home);
}

absl::StatusOr<Buffer> MakeSharedBuffer(size_t size) {
  absl::StatusOr<std::shared_ptr<SharedMemory>> memory = SharedMemory::Create(size);
  if (!memory.ok()) return memory.status();
  uint8_t* const data = (*memory)->data();
  return BufferAccess::Make(std::make_shared<OwnMemory>(*std::move(memory)), data, size);
}

void LentBuffers::Close() {
  MutexLock lock(&mu_);
  notices_ = nullptr;
  entries_.clear();
}

absl::StatusOr<Buffer> LentBuffers::Allocate(size_t size) {
  std::shared_ptr<SharedMemory> found;
  {
    MutexLock lock(&mu_);
    Entry* best = nullptr;
    for (Entry& entry : entries_) {
      if (!entry.idle() || entry.memory->size() < size || entry.memory->size() / 2 > size) continue;
      if (best == nullptr || entry.memory->size() < best->memory->size()) best = &entry;
    }
    if (best != nullptr) {
      best->held = true;
      found = best->memory;
    }
  }
  if (found == nullptr) return MakeSharedBuffer(size);
  uint8_t* const data = found->data();
  const auto own = std::make_shared<OwnMemory>(std::move(found));
  own->AddHome(shared_from_this());
  return BufferAccess::Make(own, data, size);
}

absl::optional<uint32_t> LentBuffers::Find(const SharedMemory* memory) {
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].memory.get() == memory) return i;
  }
  return absl::nullopt;
}

absl::optional<LentBuffers::Loan> LentBuffers::Lend(const std::shared_ptr<OwnMemory>& memory) {
  Loan loan;
  {
    MutexLock lock(&mu_);
    absl::optional<uint32_t> buffer = Find(memory->memory().get());
    if (!buffer.has_value()) {
      buffer = Find(nullptr);
      if (!buffer.has_value()) {
        if (notices_ == nullptr || entries_.size() == kMaxBuffers) return absl::nullopt;
        buffer = static_cast<uint32_t>(entries_.size());
        entries_.emplace_back();
      }
      entries_[*buffer].memory = memory->memory();
    }
    Entry& entry = entries_[*buffer];
    entry.held = true;
    ++entry.loans;
    loan = Loan{*buffer, !entry.known};
  }
  if (loan.is_new) memory->AddHome(shared_from_this());
  return loan;
}

void LentBuffers::Sent(const Loan& loan) {
  if (!loan.is_new) return;
  MutexLock lock(&mu_);
  if (loan.buffer < entries_.size()) entries_[loan.buffer].known = true;
}

void LentBuffers::NotSent(const Loan& loan) {
  MutexLock lock(&mu_);
  if (loan.buffer >= entries_.size()) return;
  --entries_[loan.buffer].loans;
  Trim();
}

bool LentBuffers::Release(uint32_t buffer, bool refused) {
  MutexLock lock(&mu_);
  if (buffer >= entries_.size() || entries_[buffer].loans == 0) return false;
  --entries_[buffer].loans;
  if (refused) entries_[buffer].known = false;  // the next loan brings the descriptor again
  Trim();
  return true;
}

void LentBuffers::Dropped(const std::shared_ptr<SharedMemory>& memory, bool reusable) {
  MutexLock lock(&mu_);
  const absl::optional<uint32_t> buffer = Find(memory.get());
  if (!buffer.has_value()) return;
  entries_[*buffer].held = false;
  if (!reusable) entries_[*buffer].reusable = false;
  Trim();
}

void LentBuffers::Trim() {
  size_t kept = 0;
  for (uint32_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (!entry.idle()) continue;
    if (entry.reusable && kept + entry.memory->size() <= kMaxIdleBytes) {
      kept += entry.memory->size();
      continue;
    }
    if (entry.known && notices_ != nullptr) notices_->SendNotice(FrameKind::kForget, i, 0);
    entry = Entry();
  }
}

}  // namespace nearcall
