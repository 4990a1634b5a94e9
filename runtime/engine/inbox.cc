#include "runtime/engine/inbox.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace nearcall {

Inbox::Put Inbox::PutFrame(const Frame& frame, bool trusted) {
  const size_t size = frame.payload_size();
  internal::MutexLock lock(&mu_);
  if (closed_) return Put::kOk;  // nobody reads any more, of which the sender need not know yet
  if (ended_) return Put::kViolation;
  if (!frame.has(frame_flags::kNoMessage)) {
    const uint64_t left = frame.header.extra;
    if (partial_left_ == 0) {
      const uint64_t total = size + left;
      if (max_message_bytes_ >= 0 && total > static_cast<uint64_t>(max_message_bytes_)) return Put::kTooLarge;
      if (!Spend(total)) return Put::kViolation;
      if (left == 0) {
        if (!PutWhole(frame.payload, size, trusted)) return Put::kTooMuch;
      } else {
        if (size == 0) return Put::kViolation;
        if (!Charge(size)) return Put::kTooMuch;
        partial_left_ = total;
        AppendPartial(frame.payload, size);
      }
    } else {
      if (size == 0 || size + left != partial_left_) return Put::kViolation;
      if (!Charge(size)) return Put::kTooMuch;
      AppendPartial(frame.payload, size);
      if (left == 0 && !closed_) {
        const Length length = kBig;
        held_ += sizeof length;
        arrived_.append(reinterpret_cast<const char*>(&length), sizeof length);
        if (big_ == nullptr) big_ = new std::deque<std::string>;
        big_->push_back(std::move(partial_));
        partial_.clear();
        WakeReader();
      }
    }
  } else if (partial_left_ != 0) {
    return Put::kViolation;
  }
  if (frame.has(frame_flags::kEndStream)) {
    if (partial_left_ != 0) return Put::kViolation;
    ended_ = true;
    WakeReader();
  }
  return Put::kOk;
}

void Inbox::AppendPartial(const uint8_t* data, size_t size) {
  // Memory is set aside for what arrived, a few times over, never for what was announced.
  constexpr size_t kGrowth = 4;
  const size_t needed = partial_.size() + size;
  if (needed > partial_.capacity()) {
    partial_.reserve(std::min<size_t>(partial_.size() + partial_left_, kGrowth * needed));
  }
  partial_.append(reinterpret_cast<const char*>(data), size);
  partial_left_ -= size;
}

Inbox::Put Inbox::PutMessage(const uint8_t* data, size_t size, bool trusted) {
  internal::MutexLock lock(&mu_);
  if (ended_ || partial_left_ != 0) return Put::kViolation;
  if (max_message_bytes_ >= 0 && size > static_cast<uint64_t>(max_message_bytes_)) return Put::kTooLarge;
  if (!Spend(size)) return Put::kViolation;
  return PutWhole(data, size, trusted) ? Put::kOk : Put::kTooMuch;
}

bool Inbox::Charge(size_t size) {
  held_ += static_cast<int64_t>(size);
  if (quota_ == nullptr || held_ <= charged_ + kFreeBytes) return true;
  const int64_t steps = (held_ - charged_ - kFreeBytes + kQuotaStep - 1) / kQuotaStep;
  lacking_ = quota_->Take(steps * kQuotaStep);
  if (lacking_ != nullptr) {
    held_ -= static_cast<int64_t>(size);
    return false;
  }
  charged_ += steps * kQuotaStep;
  return true;
}

void Inbox::Discharge(size_t size) {
  held_ -= static_cast<int64_t>(size);
  // A step is kept as long as something may come, so that a stream that comes and goes leaves the quota alone. After
  // the end it is not: whoever has its answer never finds what it sent in the way of what it sends next.
  const int64_t needed =
      ended_ ? std::max<int64_t>(held_ - kFreeBytes, 0) : std::max(held_, std::min(kQuotaStep, charged_));
  const int64_t steps = (needed + kQuotaStep - 1) / kQuotaStep;
  if (charged_ <= steps * kQuotaStep) return;
  quota_->Give(charged_ - steps * kQuotaStep);
  charged_ = steps * kQuotaStep;
}

bool Inbox::Spend(size_t size) {
  if (balance_ <= 0) return false;
  balance_ -= static_cast<int64_t>(size) + kMessageOverhead;
  return true;
}

bool Inbox::PutWhole(const uint8_t* data, size_t size, bool trusted) {
  if (closed_) return true;
  if (offered_ != nullptr && trusted) {
    direct_ = std::exchange(offered_, nullptr)->Parse(data, size) ? Got::kMessage : Got::kUnparsable;
    direct_size_ = size;
  } else {
    const Length length = static_cast<Length>(size);
    if (!Charge(sizeof length + size)) return false;
    arrived_.append(reinterpret_cast<const char*>(&length), sizeof length);
    arrived_.append(reinterpret_cast<const char*>(data), size);
  }
  WakeReader();
  return true;
}

void Inbox::WakeReader() {
  ready_.exchange(true, std::memory_order_seq_cst);
  spot_.Notify();
}

void Inbox::End() {
  internal::MutexLock lock(&mu_);
  ended_ = true;
  WakeReader();
}

void Inbox::Close(bool drop) {
  internal::MutexLock lock(&mu_);
  closed_ = ended_ = true;
  if (drop) {
    size_t dropped = arrived_.size() + partial_.size();
    arrived_.clear();
    std::string().swap(partial_);
    if (big_ != nullptr) {
      for (const std::string& message : *big_) dropped += message.size();
      big_->clear();
    }
    Discharge(dropped);
  }
  WakeReader();
}

bool Inbox::HasMessageOrEnd() {
  internal::MutexLock lock(&mu_);
  return !arrived_.empty() || ended_;
}

bool Inbox::ReadNext(internal::InMessage message, Got* got) {
  if (read_to_ == reading_.size()) return false;
  Length length;
  std::memcpy(&length, reading_.data() + read_to_, sizeof length);
  read_to_ += sizeof length;
  bool parsed;
  size_t size;
  if (length == kBig) {
    std::string big;
    {
      internal::MutexLock lock(&mu_);
      if (big_->empty()) {  // dropped by Close
        *got = Got::kEnd;
        return true;
      }
      big = std::move(big_->front());
      big_->pop_front();
      Discharge(big.size());
    }
    size = big.size();
    parsed = message.Parse(big.data(), size);
  } else {
    size = length;
    parsed = message.Parse(reading_.data() + read_to_, size);
    read_to_ += size;
  }
  used_ += size + static_cast<uint64_t>(kMessageOverhead);
  *got = parsed ? Got::kMessage : Got::kUnparsable;
  return true;
}

bool Inbox::Refill(internal::InMessage* message, Got* got) {
  const size_t taken = reading_.size();
  reading_.clear();
  read_to_ = 0;
  if (reading_.capacity() > kKeptBytes) reading_.shrink_to_fit();
  internal::MutexLock lock(&mu_);
  if (taken != 0) Discharge(taken);
  if (!arrived_.empty()) {
    reading_.swap(arrived_);
    return true;
  }
  if (ended_) {
    *got = Got::kEnd;
    return false;
  }
  ready_.store(false, std::memory_order_relaxed);
  offered_ = message;
  direct_size_ = SIZE_MAX;
  *got = Got::kTimedOut;
  return false;
}

bool Inbox::TakeDirect(Got* got) {
  internal::MutexLock lock(&mu_);
  offered_ = nullptr;
  if (direct_size_ == SIZE_MAX) return false;
  used_ += std::exchange(direct_size_, SIZE_MAX) + static_cast<uint64_t>(kMessageOverhead);
  *got = direct_;
  return true;
}

Inbox::Got Inbox::TryRead(internal::InMessage message) {
  Got got;
  do {
    if (ReadNext(message, &got)) return got;
  } while (Refill(nullptr, &got));
  return got;
}

bool Inbox::Drained() {
  if (read_to_ != reading_.size()) return false;
  internal::MutexLock lock(&mu_);
  return arrived_.empty();
}

uint32_t Inbox::TakeGrant() {
  if (used_ < static_cast<uint64_t>(window_) / 2 || used_ == 0) return 0;
  internal::MutexLock lock(&mu_);
  if (ended_) return 0;
  const uint32_t grant = static_cast<uint32_t>(std::min<uint64_t>(used_, UINT32_MAX));
  used_ -= grant;
  balance_ += grant;
  return grant;
}

}  // namespace nearcall
