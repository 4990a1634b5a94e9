#include "runtime/transports/inproc/inproc_wire.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/str_cat.h"

namespace nearcall {

InprocWire::Queue::Queue() : reader_bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

std::pair<std::unique_ptr<InprocWire>, std::unique_ptr<InprocWire>> InprocWire::MakePair() {
  auto there = std::make_shared<Queue>();
  auto back = std::make_shared<Queue>();
  return {std::unique_ptr<InprocWire>(new InprocWire(back, there)),
          std::unique_ptr<InprocWire>(new InprocWire(there, back))};
}

void InprocWire::Ring(const Queue& queue) {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(queue.reader_bell.get(), &one, sizeof one);
}

uint8_t* InprocWire::Claim(size_t size) {
  {
    internal::MutexLock lock(&out_->mu);
    if (out_->bytes + size > kCapacity) return nullptr;
  }
  claimed_.resize(size);
  return reinterpret_cast<uint8_t*>(claimed_.data());
}

void InprocWire::Commit(size_t size) {
  const auto frame_size = static_cast<uint32_t>(size);
  std::memcpy(claimed_.data(), &frame_size, sizeof frame_size);
  sent_bytes_ += size;
  internal::MutexLock lock(&out_->mu);
  if (out_->closed) return;
  out_->bytes += size;
  out_->frames.push_back(std::move(claimed_));
  out_->worth_a_look.store(true, std::memory_order_relaxed);
}

bool InprocWire::Flush() {
  internal::MutexLock lock(&out_->mu);
  if (std::exchange(out_->reader_sleeps, false)) Ring(*out_);
  return true;
}

void InprocWire::WantRoom(bool want) {
  internal::MutexLock lock(&out_->mu);
  out_->writer_wants_room = want;
}

Received InprocWire::Receive(Frame* frame) {
  if (!in_->worth_a_look.load(std::memory_order_relaxed)) return Received::kNothing;
  {
    internal::MutexLock lock(&in_->mu);
    if (in_->frames.empty()) {
      if (in_->closed) return Received::kClosed;
      in_->worth_a_look.store(false, std::memory_order_relaxed);
      return Received::kNothing;
    }
    current_ = std::move(in_->frames.front());
    in_->frames.pop_front();
    in_->bytes -= current_.size();
    in_->read_bytes += current_.size();
    // The writer sleeps on the doorbell of the other direction, which it reads.
    if (in_->writer_wants_room) Ring(*out_);
  }
  frame->header = LoadHeader(current_.data());
  if (const FrameError error = ValidateHeader(frame->header, kMaxFrameSize); error != FrameError::kNone) {
    status_ = absl::InternalError(absl::StrCat("the other side sent ", FrameErrorText(error)));
    return Received::kClosed;
  }
  frame->payload = reinterpret_cast<const uint8_t*>(current_.data()) + kHeaderSize;
  return Received::kFrame;
}

bool InprocWire::PrepareSleep() {
  internal::MutexLock lock(&in_->mu);
  if (!in_->frames.empty() || in_->closed) return false;
  in_->reader_sleeps = true;
  return true;
}

void InprocWire::FinishSleep(uint32_t) {
  internal::MutexLock lock(&in_->mu);
  in_->reader_sleeps = false;
}

void InprocWire::Shutdown() {
  for (Queue* queue : {in_.get(), out_.get()}) {
    internal::MutexLock lock(&queue->mu);
    queue->closed = true;
    queue->worth_a_look.store(true, std::memory_order_relaxed);
    Ring(*queue);
  }
}

absl::Status InprocWire::status() const {
  if (!status_.ok()) return status_;
  return absl::UnavailableError("the connection was closed by the other side");
}

bool InprocWire::PeerHasRead(uint64_t position) const {
  internal::MutexLock lock(&out_->mu);
  return out_->read_bytes >= position;
}

}  // namespace nearcall
