#ifndef NEARCALL_RUNTIME_ENGINE_SENDER_H_
#define NEARCALL_RUNTIME_ENGINE_SENDER_H_

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/mutex.h"
#include "runtime/engine/reactor.h"
#include "runtime/wire/wire.h"

namespace nearcall {

enum class SendResult : uint8_t {
  kSent,
  kClosed,    // the connection is closed; of this frame the peer has seen nothing
  kTimedOut,  // no room before the deadline
  kAborted,   // the call was over before there was room
};

// The sending side of a connection: one frame after another onto the Wire, whole, from any thread; whoever finds no
// room waits in line. The poller never waits: what it has to say (credit, refusals, pongs) is small and goes to a
// bounded backlog when there is no room.
//
// Threads: thread-safe, but for the functions marked "poller only".
template <Wire W>
class Sender {
 public:
  // `owner` is the connection, which the reactor looks after; its Poll calls Service.
  Sender(W* wire, Reactor* reactor, Pollable* owner) : wire_(wire), reactor_(reactor), owner_(owner) {}

  // Sends a frame of `header` and a payload that `fill(uint8_t*)` writes in place; header.size says how large. Waits
  // for room until `deadline`, or until `aborted()`: whoever makes that true calls WakeWaiting, or cancels `context`.
  // `position`, where not null, gets the Wire's send position after the frame.
  template <class Fill, class Aborted>
  SendResult Send(const FrameHeader& header, const Fill& fill, int64_t deadline, const Aborted& aborted,
                  uint64_t* position = nullptr, ClientContext* context = nullptr) {
    {
      internal::MutexLock lock(&mu_);
      if (closed_) return SendResult::kClosed;
      if (line_.empty() && backlog_.empty() && TrySend(header, fill, position)) {
        Flush();
        return SendResult::kSent;
      }
    }
    return SendWaiting(header, fill, deadline, aborted, position, context);
  }

  // Sends a frame without waiting: when there is no room it goes to the backlog, before whatever is sent later. False
  // when the backlog is full: the peer does not read, and the connection is to be closed.
  bool SendNow(FrameHeader header, const void* payload, size_t size) {
    header.size = static_cast<uint32_t>(kHeaderSize + size);
    const auto fill = [&](uint8_t* out) {
      if (size != 0) std::memcpy(out, payload, size);
    };
    internal::MutexLock lock(&mu_);
    if (closed_) return true;
    if (backlog_.empty() && TrySend(header, fill, nullptr)) {
      Flush();
      return true;
    }
    if (backlog_.size() >= kMaxBacklog) return false;
    std::string frame(header.size, '\0');
    std::memcpy(frame.data(), &header, kHeaderSize);
    fill(reinterpret_cast<uint8_t*>(frame.data()) + kHeaderSize);
    backlog_.push_back(std::move(frame));
    has_waiting_.store(true, std::memory_order_relaxed);
    wire_->WantRoom(true);
    reactor_->Nudge(owner_);
    return true;
  }

  // The same for a frame that is all header.
  bool SendNow(FrameKind kind, uint32_t call, uint32_t extra = 0) {
    FrameHeader header{};
    header.kind = static_cast<uint8_t>(kind);
    header.call = call;
    header.extra = extra;
    return SendNow(header, nullptr, 0);
  }

  // Looks whether there is room for those that wait. Poller only, once a pass; free when nobody waits.
  bool Service() {
    if (!has_waiting_.load(std::memory_order_relaxed) && !unflushed_.load(std::memory_order_relaxed)) return false;
    internal::MutexLock lock(&mu_);
    bool progress = false;
    if (unflushed_.load(std::memory_order_relaxed)) {
      Flush();
      progress = !unflushed_.load(std::memory_order_relaxed);
    }
    while (!backlog_.empty()) {
      const std::string& frame = backlog_.front();
      uint8_t* const room = wire_->Claim(frame.size());
      if (room == nullptr) return progress;
      std::memcpy(room + kSizeBytes, frame.data() + kSizeBytes, frame.size() - kSizeBytes);
      wire_->Commit(frame.size());
      backlog_.pop_front();
      progress = true;
    }
    if (progress) Flush();
    if (!line_.empty() && wire_->Claim(line_.front()->size) != nullptr) line_.front()->spot->Notify();
    if (line_.empty()) StopWaiting();
    return progress;
  }

  // Has everyone who waits look again whether its call is over. Any thread; free when nobody waits.
  void WakeWaiting() {
    if (!has_waiting_.load(std::memory_order_seq_cst)) return;
    internal::MutexLock lock(&mu_);
    for (Waiter* waiter : line_) waiter->spot->Notify();
  }

  // After this nothing is sent any more, and everyone who waits is told. Any thread.
  void Close() {
    internal::MutexLock lock(&mu_);
    closed_ = true;
    backlog_.clear();
    for (Waiter* waiter : line_) waiter->spot->Notify();
  }

 private:
  static constexpr size_t kMaxBacklog = 4096;
  static constexpr size_t kSizeBytes = sizeof(FrameHeader::size);

  struct Waiter {
    WaitSpot* spot;
    size_t size;
  };

  template <class Fill>
  bool TrySend(const FrameHeader& header, const Fill& fill, uint64_t* position) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    uint8_t* const room = wire_->Claim(header.size);
    if (room == nullptr) return false;
    // The size is Commit's to write: on some Wires it is what publishes the frame.
    std::memcpy(room + kSizeBytes, reinterpret_cast<const char*>(&header) + kSizeBytes, kHeaderSize - kSizeBytes);
    fill(room + kHeaderSize);
    wire_->Commit(header.size);
    if (position != nullptr) *position = wire_->sent_bytes();
    return true;
  }

  void Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const bool unflushed = !wire_->Flush();
    if (unflushed == unflushed_.load(std::memory_order_relaxed)) return;
    unflushed_.store(unflushed, std::memory_order_relaxed);
    if (unflushed) reactor_->Nudge(owner_);  // the poller must watch for writability
  }

  void StopWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    has_waiting_.store(false, std::memory_order_relaxed);
    wire_->WantRoom(false);
  }

  // The slow path of Send: stands in line.
  template <class Fill, class Aborted>
  SendResult SendWaiting(const FrameHeader& header, const Fill& fill, int64_t deadline, const Aborted& aborted,
                         uint64_t* position, ClientContext* context) {
    WaitSpot spot(context);
    Waiter self{&spot, header.size};
    {
      internal::MutexLock lock(&mu_);
      line_.push_back(&self);
      has_waiting_.exchange(true,
                            std::memory_order_seq_cst);  // then aborted() is looked at; WakeWaiting the other way round
      wire_->WantRoom(true);
    }
    reactor_->Nudge(owner_);  // a poller that sleeps does not watch for room yet
    SendResult result = SendResult::kTimedOut;
    reactor_->Wait(
        [&] {
          if (result != SendResult::kTimedOut) return true;
          if (aborted()) {
            result = SendResult::kAborted;
            return true;
          }
          internal::MutexLock lock(&mu_);
          if (closed_) {
            result = SendResult::kClosed;
          } else if (line_.front() == &self && backlog_.empty() && TrySend(header, fill, position)) {
            Flush();
            result = SendResult::kSent;
          }
          return result != SendResult::kTimedOut;
        },
        &spot, deadline);
    internal::MutexLock lock(&mu_);
    line_.erase(std::find(line_.begin(), line_.end(), &self));
    if (!line_.empty()) {
      line_.front()->spot->Notify();
    } else if (backlog_.empty()) {
      StopWaiting();
    }
    return result;
  }

  W* const wire_;
  Reactor* const reactor_;
  Pollable* const owner_;
  // Hints for the poller, so that a pass takes no lock when nobody waits; a change is followed by Reactor::Nudge.
  std::atomic<bool> has_waiting_{false};
  std::atomic<bool> unflushed_{false};

  internal::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Waiter*> line_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string> backlog_ ABSL_GUARDED_BY(mu_);
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SENDER_H_
