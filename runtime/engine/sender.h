#ifndef NEARCALL_RUNTIME_ENGINE_SENDER_H_
#define NEARCALL_RUNTIME_ENGINE_SENDER_H_

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "nearcall/internal/attachments.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/step.h"
#include "runtime/engine/reactor.h"
#include "runtime/wire/wire.h"

namespace nearcall {

enum class SendResult : uint8_t {
  kSent,
  kClosed,    // the connection is closed; of this frame the peer has seen nothing
  kTimedOut,  // no room before the deadline
  kAborted,   // the call was over before there was room
};

// Told that what it left with a Sender has gone out, or never will. Called under the Sender's lock: must be short and
// must not call the Sender.
class SendObserver {
 public:
  virtual void OnSent() = 0;

 protected:
  ~SendObserver() = default;
};

// The sending side of a connection: one frame after another onto the Wire, whole, from any thread. What finds no room
// stands in line: a thread that waits, or a parcel, which holds a copy and waits by itself. The poller never waits:
// what it has to say (credit, refusals, pongs) is small and goes to a bounded backlog when there is no room.
//
// Threads: thread-safe, but for the functions marked "poller only".
template <Wire W>
class Sender {
 public:
  // `owner` is the connection, which the reactor looks after; its Poll calls Service.
  // `max_backlog_bytes` bounds what SendNow leaves behind, as kMaxBacklog does.
  Sender(W* wire, Reactor* reactor, Pollable* owner, size_t max_backlog_bytes = 1 << 20)
      : wire_(wire), reactor_(reactor), owner_(owner), max_backlog_bytes_(max_backlog_bytes) {}
  ~Sender() {
    for (Waiter* waiter : line_) delete waiter;
  }

  // Sends a frame of `header` and a payload that `fill(uint8_t*)` writes in place; header.size says how large. Waits
  // for room until `deadline`, or until `aborted()`: whoever makes that true calls WakeWaiting, or cancels `context`.
  // `position`, where not null, gets the Wire's send position after the frame. With `hold` the frame may stay here for
  // a while, to go out with the next one: until whatever is sent next without it, or FlushHeld. `fd`, where valid,
  // travels with it.
  template <class Fill, class Aborted>
  SendResult Send(const FrameHeader& header, const Fill& fill, int64_t deadline, const Aborted& aborted,
                  uint64_t* position = nullptr, ClientContext* context = nullptr, bool hold = false,
                  const internal::SharedFd& fd = internal::SharedFd()) {
    {
      internal::MutexLock lock(&mu_);
      if (closed_) return SendResult::kClosed;
      if (line_.empty() && backlog_.empty() && TrySend(header, fill, position, fd)) {
        if (!hold || !Hold(header.size)) Flush();
        return SendResult::kSent;
      }
      if (has_held()) Flush();  // there is room only once it has gone
    }
    return SendWaiting(header, fill, deadline, aborted, position, context, fd);
  }

  // The largest frame for a payload of `size` bytes: all of it fits, if the Wire can have such frames at all.
  uint32_t MaxFrame(size_t size) {
    const uint32_t now = wire_->max_frame_size();
    if (kHeaderSize + size <= now) return now;
    internal::MutexLock lock(&mu_);
    return wire_->Reserve(kHeaderSize + size);
  }

  // Has what is held go out: before the thread that sent it waits. Free when nothing is.
  void FlushHeld() {
    if (!has_held()) return;
    internal::MutexLock lock(&mu_);
    Flush();
  }

  // Waits until what was sent has left this process, until `deadline`, or until `over()`, whose changes notify `spot`:
  // for a thread that may now do something else than poll.
  template <class Over>
  void AwaitFlushed(WaitSpot* spot, int64_t deadline, const Over& over) {
    if (!unflushed_.load(std::memory_order_relaxed)) return;
    {
      internal::MutexLock lock(&mu_);
      flush_waiters_.push_back(spot);
    }
    reactor_->Wait([&] { return !unflushed_.load(std::memory_order_seq_cst) || over(); }, spot, deadline);
    internal::MutexLock lock(&mu_);
    flush_waiters_.erase(std::find(flush_waiters_.begin(), flush_waiters_.end(), spot));
  }

  // Never waits: what finds no room is copied into a parcel, which goes out when there is some. True: the frame is out,
  // or never will be. False: `observer`, where not null, will be told so.
  template <class Fill>
  bool SendOrQueue(const FrameHeader& header, const Fill& fill, SendObserver* observer,
                   const internal::SharedFd& fd = internal::SharedFd()) {
    internal::MutexLock lock(&mu_);
    if (closed_) return true;
    if (line_.empty() && backlog_.empty() && TrySend(header, fill, nullptr, fd)) {
      Flush();
      return true;
    }
    auto parcel = std::make_unique<Parcel>();
    parcel->header = header;
    parcel->fd = fd;
    parcel->payload.resize(header.size - kHeaderSize);
    fill(reinterpret_cast<uint8_t*>(parcel->payload.data()));
    return QueueParcel(std::move(parcel), observer);
  }

  // The same for a message that needs several frames: `header` is that of the last one.
  bool SendOrQueueFragments(const FrameHeader& header, std::string message, SendObserver* observer) {
    internal::MutexLock lock(&mu_);
    if (closed_) return true;
    auto parcel = std::make_unique<Parcel>();
    parcel->header = header;
    parcel->payload = std::move(message);
    return QueueParcel(std::move(parcel), observer);
  }

  // After this `observer` is not told any more; what it has not sent yet is dropped.
  void Drop(const SendObserver* observer) {
    internal::MutexLock lock(&mu_);
    for (auto at = line_.begin(); at != line_.end();) {
      if ((*at)->parcel == nullptr || (*at)->parcel->observer != observer) {
        ++at;
        continue;
      }
      delete *at;
      at = line_.erase(at);
      --parcels_;
    }
    LineHasMoved();
    CountUnsent();
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
    if (backlog_.size() >= kMaxBacklog || header.size > max_backlog_bytes_ - backlog_bytes_) return false;
    std::string frame(header.size, '\0');
    std::memcpy(frame.data(), &header, kHeaderSize);
    fill(reinterpret_cast<uint8_t*>(frame.data()) + kHeaderSize);
    backlog_.push_back(std::move(frame));
    backlog_bytes_ += header.size;
    has_waiting_.store(true, std::memory_order_relaxed);
    WantRoom(true);
    reactor_->Nudge(owner_);
    CountUnsent();
    return true;
  }

  // The same for a frame that is all header.
  bool SendNow(FrameKind kind, uint32_t call, uint32_t extra = 0, uint16_t detail = 0) {
    FrameHeader header{};
    header.kind = static_cast<uint8_t>(kind);
    header.detail = detail;
    header.call = call;
    header.extra = extra;
    return SendNow(header, nullptr, 0);
  }

  // Looks whether there is room for those that wait. Poller only, once a pass; free when nobody waits.
  bool Service() {
    const bool some_wait = has_waiting_.load(std::memory_order_relaxed) || unflushed_.load(std::memory_order_relaxed);
    return some_wait && ServeWaiting();
  }

  // Has everyone who waits look again whether its call is over. Any thread; free when nobody waits.
  void WakeWaiting() {
    if (!has_waiting_.load(std::memory_order_seq_cst)) return;
    internal::MutexLock lock(&mu_);
    for (Waiter* waiter : line_) {
      if (waiter->spot != nullptr) waiter->spot->Notify();
    }
  }

  // After this nothing is sent any more, and everyone who waits is told. Any thread.
  void Close() {
    internal::MutexLock lock(&mu_);
    closed_ = true;
    backlog_.clear();
    backlog_bytes_ = 0;
    CountUnsent();
    std::deque<Waiter*> line;
    line.swap(line_);
    for (Waiter* waiter : line) {
      if (waiter->spot != nullptr) {
        line_.push_back(waiter);
        waiter->spot->Notify();
        continue;
      }
      if (waiter->parcel->observer != nullptr) waiter->parcel->observer->OnSent();
      delete waiter;
    }
  }

 private:
  static constexpr size_t kMaxBacklog = 4096;
  static constexpr size_t kMaxHeld = 16 << 10;  // bytes
  static constexpr size_t kSizeBytes = sizeof(FrameHeader::size);

  // A frame, or a message in fragments, that waits by itself.
  struct Parcel {
    FrameHeader header;   // of the last frame
    std::string payload;  // of the one frame, or the whole message
    internal::SharedFd fd;
    size_t sent = 0;
    bool done = false;
    SendObserver* observer = nullptr;
  };
  // One place in the line: a thread's, on its stack, or a parcel's, on the heap.
  struct Waiter {
    WaitSpot* spot = nullptr;
    size_t size = 0;
    bool with_fd = false;
    bool told = false;  // that there is room; it will come for it, or ask anew
    std::unique_ptr<Parcel> parcel;
  };

  // The rest of Service, where there is something to look at.
  bool ServeWaiting() {
    internal::MutexLock lock(&mu_);
    bool progress = false;
    if (unflushed_.load(std::memory_order_relaxed)) {
      Flush();
      progress = !unflushed_.load(std::memory_order_relaxed);
    }
    while (!backlog_.empty()) {
      const std::string& frame = backlog_.front();
      uint8_t* const room = wire_->Claim(frame.size());
      if (room == nullptr) {
        if (progress) Flush();  // whoever is to make room may be asleep
        CountUnsent();
        return progress;
      }
      std::memcpy(room + kSizeBytes, frame.data() + kSizeBytes, frame.size() - kSizeBytes);
      wire_->Commit(frame.size());
      backlog_bytes_ -= frame.size();
      backlog_.pop_front();
      progress = true;
    }
    while (!line_.empty() && line_.front()->parcel != nullptr) {
      Waiter* const first = line_.front();
      if (!SendFragment(first->parcel.get())) break;
      progress = true;
      line_.pop_front();
      if (first->parcel->done) {
        if (first->parcel->observer != nullptr) first->parcel->observer->OnSent();
        delete first;
        --parcels_;
      } else {
        line_.push_back(first);  // between its fragments, others have their turn
      }
    }
    if (progress) Flush();
    LineHasMoved();
    CountUnsent();
    return progress;
  }

  template <class Fill>
  bool TrySend(const FrameHeader& header, const Fill& fill, uint64_t* position,
               const internal::SharedFd& fd = internal::SharedFd()) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    NEARCALL_STEP("send.claim");
    if (fd.valid() && !IsReadyForFd()) return false;
    uint8_t* const room = wire_->Claim(header.size);
    if (room == nullptr) return false;
    if (fd.valid()) wire_->AttachFd(fd);
    NEARCALL_STEP("send.claimed");
    NEARCALL_STEP("send.fill");
    fill(room + kHeaderSize);
    // After the payload: by then the header, which was just written in pieces, can be loaded as a whole at once. Its
    // size is Commit's to write: on some Wires that is what publishes the frame.
    std::memcpy(room + kSizeBytes, reinterpret_cast<const char*>(&header) + kSizeBytes, kHeaderSize - kSizeBytes);
    NEARCALL_STEP("send.filled");
    wire_->Commit(header.size);
    NEARCALL_STEP("send.committed");
    if (position != nullptr) *position = wire_->sent_bytes();
    return true;
  }

  bool IsReadyForFd() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (wire_->ReadyForFd()) return true;
    Flush();
    return wire_->ReadyForFd();
  }

  bool has_held() const { return held_.load(std::memory_order_relaxed) != 0; }
  // False: so much is held that it should go.
  bool Hold(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const size_t held = held_.load(std::memory_order_relaxed) + size;
    held_.store(held, std::memory_order_relaxed);
    return held < kMaxHeld;
  }

  void Flush() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (has_held()) held_.store(0, std::memory_order_relaxed);
    const bool unflushed = !wire_->Flush();
    NEARCALL_STEP("send.flushed");
    if (unflushed == unflushed_.load(std::memory_order_relaxed)) return;
    unflushed_.store(unflushed, std::memory_order_seq_cst);
    if (unflushed) {
      reactor_->Nudge(owner_);  // the poller must watch for writability
    } else {
      for (WaitSpot* spot : flush_waiters_) spot->Notify();
    }
    CountUnsent();
  }

  // Tells the reactor whether something is here that goes out only if somebody polls, and that no thread waits for.
  void CountUnsent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const bool unsent = !closed_ && (!backlog_.empty() || parcels_ != 0 || unflushed_.load(std::memory_order_relaxed));
    if (unsent == counted_unsent_) return;
    counted_unsent_ = unsent;
    reactor_->CountUnsent(unsent ? 1 : -1);
  }

  // False: there is no room now.
  bool SendFragment(Parcel* parcel) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const size_t left = parcel->payload.size() - parcel->sent;
    const size_t part = std::min(left, size_t{wire_->Reserve(kHeaderSize + left)} - kHeaderSize);
    const auto fill = [&](uint8_t* to) {
      if (part != 0) std::memcpy(to, parcel->payload.data() + parcel->sent, part);
    };
    if (!TrySend(FragmentHeader(parcel->header, part, left - part), fill, nullptr, parcel->fd)) return false;
    parcel->sent += part;
    parcel->done = part == left;
    return true;
  }

  // Sends of it what there is room for; the rest goes to the line's end. True: nothing is left.
  bool QueueParcel(std::unique_ptr<Parcel> parcel, SendObserver* observer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (line_.empty() && backlog_.empty()) {
      while (!parcel->done && SendFragment(parcel.get())) {
      }
      Flush();
      if (parcel->done) return true;
    }
    parcel->observer = observer;
    auto* const waiter = new Waiter;
    waiter->parcel = std::move(parcel);
    line_.push_back(waiter);
    ++parcels_;
    has_waiting_.store(true, std::memory_order_seq_cst);
    if (!line_.front()->told) WantRoom(true);
    reactor_->Nudge(owner_);
    CountUnsent();
    return false;
  }

  // The first in line may be another one, or there may be room for it. A thread that was told so need not be told
  // again, and the poller must not stay awake for it: on one CPU that would keep it from coming.
  void LineHasMoved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (!backlog_.empty()) return;
    if (line_.empty()) return StopWaiting();
    Waiter* const first = line_.front();
    if (first->spot == nullptr) {
      WantRoom(true);
      return;
    }
    if (first->told || !HasRoom(*first)) return;
    first->told = true;
    WantRoom(false);
    first->spot->Notify();
  }

  // If not, asks for it.
  bool HasRoom(const Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto has_room = [&] {
      return (!waiter.with_fd || wire_->ReadyForFd()) && wire_->Claim(waiter.size) != nullptr;
    };
    return has_room() || (WantRoom(true) && has_room());
  }

  // False: that is so already.
  bool WantRoom(bool want) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (std::exchange(wants_room_, want) == want) return false;
    wire_->WantRoom(want);
    return true;
  }

  void StopWaiting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    has_waiting_.store(false, std::memory_order_relaxed);
    WantRoom(false);
  }

  // The slow path of Send: stands in line.
  template <class Fill, class Aborted>
  SendResult SendWaiting(const FrameHeader& header, const Fill& fill, int64_t deadline, const Aborted& aborted,
                         uint64_t* position, ClientContext* context, const internal::SharedFd& fd) {
    WaitSpot spot(context);
    Waiter self;
    self.spot = &spot;
    self.size = header.size;
    self.with_fd = fd.valid();
    {
      internal::MutexLock lock(&mu_);
      line_.push_back(&self);
      has_waiting_.exchange(true,
                            std::memory_order_seq_cst);  // then aborted() is looked at; WakeWaiting the other way round
      if (!line_.front()->told) WantRoom(true);
    }
    NEARCALL_STEP("send.in_line");
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
          } else if (line_.front() == &self && backlog_.empty()) {
            if (TrySend(header, fill, position, fd)) {
              Flush();
              result = SendResult::kSent;
            } else if (std::exchange(self.told, false)) {  // others were quicker
              LineHasMoved();
              reactor_->Nudge(owner_);
            }
          }
          return result != SendResult::kTimedOut;
        },
        &spot, deadline);
    internal::MutexLock lock(&mu_);
    line_.erase(std::find(line_.begin(), line_.end(), &self));
    if (!line_.empty() && line_.front()->parcel != nullptr) reactor_->Nudge(owner_);  // the poller sends parcels
    LineHasMoved();
    return result;
  }

  W* const wire_;
  Reactor* const reactor_;
  Pollable* const owner_;
  const size_t max_backlog_bytes_;
  // Hints for the poller, so that a pass takes no lock when nobody waits; a change is followed by Reactor::Nudge.
  std::atomic<bool> has_waiting_{false};
  std::atomic<bool> unflushed_{false};
  std::atomic<size_t> held_{0};  // bytes; relaxed: who asks without the lock has sent them itself

  internal::Mutex mu_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool counted_unsent_ ABSL_GUARDED_BY(mu_) = false;
  bool wants_room_ ABSL_GUARDED_BY(mu_) = false;  // the Wire was asked to wake us for it
  std::vector<WaitSpot*> flush_waiters_ ABSL_GUARDED_BY(mu_);
  std::deque<Waiter*> line_ ABSL_GUARDED_BY(mu_);
  size_t parcels_ ABSL_GUARDED_BY(mu_) = 0;  // in the line
  std::deque<std::string> backlog_ ABSL_GUARDED_BY(mu_);
  size_t backlog_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // never more than the maximum
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SENDER_H_
