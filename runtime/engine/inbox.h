#ifndef NEARCALL_RUNTIME_ENGINE_INBOX_H_
#define NEARCALL_RUNTIME_ENGINE_INBOX_H_

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/base/thread_annotations.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/mutex.h"
#include "runtime/engine/quota.h"
#include "runtime/engine/reactor.h"
#include "runtime/wire/frame.h"

namespace nearcall {

// The messages that one call has received and its reader has not taken yet.
//
// The poller puts in what arrives: fragments are put together, whole messages are copied behind each other into one
// buffer. The reader takes the whole buffer at once and then reads from it without a lock. A reader that waits offers
// its message object, and the next message is parsed into it where it lies: then nothing is copied at all.
//
// Memory is bounded by the credit that the receiver granted plus one message of the largest size; over all calls of a
// connection by a quota, from which each inbox takes what it has beyond a few KiB.
//
// Threads: the poller puts, one reader takes; Close from any thread.
class Inbox {
 public:
  // `max_message_bytes` is the receive limit (-1: none), `window` what the sender may have under way; `context`, where
  // not null, can be cancelled. `quota`, where not null, bounds what is here, and must outlive it.
  Inbox(int64_t max_message_bytes, int64_t window, ClientContext* context, Quota* quota = nullptr)
      : max_message_bytes_(max_message_bytes), window_(window), spot_(context), quota_(quota), balance_(window) {}
  ~Inbox() {
    if (charged_ != 0) quota_->Give(charged_);
    delete big_;
  }

  enum class Put : uint8_t {
    kOk,
    kTooLarge,   // over the receive limit: fails the call
    kTooMuch,    // over the quota, as lacking() says: fails the call
    kViolation,  // more than was granted, or fragments that do not fit together: fails the connection
  };
  // A kMessage frame. `trusted`: whether the payload may be parsed where it lies. Poller.
  Put PutFrame(const Frame& frame, bool trusted);
  // A whole message. Poller.
  Put PutMessage(const uint8_t* data, size_t size, bool trusted);
  // After kTooMuch: the quota that was used up. Poller.
  const Quota* lacking() const { return lacking_; }
  // No message follows: the sender is done. Poller.
  void End();
  // The call is over: the reader is woken. What was received can still be read unless `drop`.
  void Close(bool drop);

  enum class Got : uint8_t { kMessage, kEnd, kUnparsable, kTimedOut, kAborted };
  // Takes the next message, waiting for it until `deadline` or `aborted()`. Reader.
  template <class Aborted>
  Got Read(internal::InMessage message, Reactor* reactor, int64_t deadline, const Aborted& aborted);

  // The same without waiting: kTimedOut when nothing is here. Reader.
  Got TryRead(internal::InMessage message);
  // Whether everything that came has been read. Reader.
  bool Drained();

  // Bytes that the reader has used up and the sender may be granted anew; 0 while it is too little to be worth a frame.
  uint32_t TakeGrant();

  // Whether a whole message, or the end, is here. Poller.
  bool HasMessageOrEnd();

  WaitSpot* spot() { return &spot_; }

 private:
  // Set in front of each message in the buffer; kBig says that the message is the next of big_.
  using Length = uint32_t;
  static constexpr Length kBig = UINT32_MAX;
  // A buffer that has grown beyond this is given back when it is empty.
  static constexpr size_t kKeptBytes = 128 * 1024;
  // Bytes that an inbox may hold without asking, and in what steps it takes more from the quota: short messages never
  // touch what all calls share.
  static constexpr int64_t kFreeBytes = 4 * 1024;
  static constexpr int64_t kQuotaStep = 16 * 1024;

  // One fragment more of a message.
  void AppendPartial(const uint8_t* data, size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool Spend(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // False: over the quota.
  bool PutWhole(const uint8_t* data, size_t size, bool trusted) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // So many bytes more are held; false: over the quota. So many fewer.
  bool Charge(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Discharge(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WakeReader() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Reads the next message of reading_, if there is one.
  bool ReadNext(internal::InMessage message, Got* got);
  // Fills reading_ from what has arrived; otherwise says why not, or has the next message parsed into `message`.
  bool Refill(internal::InMessage* message, Got* got);
  // Takes back the offer of `message`; true when it was taken, with *got.
  bool TakeDirect(Got* got);

  const int64_t max_message_bytes_;
  const int64_t window_;
  WaitSpot spot_;
  Quota* const quota_;
  const Quota* lacking_ = nullptr;
  std::atomic<bool> ready_{false};  // whether the reader has something to look at; pairs with itself

  internal::Mutex mu_;
  std::string arrived_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string>* big_ ABSL_GUARDED_BY(mu_) = nullptr;  // made when needed: an empty deque allocates
  std::string partial_ ABSL_GUARDED_BY(mu_);                     // of a message whose last fragment is still to come
  uint64_t partial_left_ ABSL_GUARDED_BY(mu_) = 0;               // bytes of it still to come
  int64_t balance_ ABSL_GUARDED_BY(mu_);
  int64_t held_ ABSL_GUARDED_BY(mu_) = 0;     // bytes in arrived_, reading_, big_ and partial_
  int64_t charged_ ABSL_GUARDED_BY(mu_) = 0;  // of them, those that were taken from the quota
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  internal::InMessage* offered_ ABSL_GUARDED_BY(mu_) = nullptr;
  Got direct_ ABSL_GUARDED_BY(mu_) = Got::kEnd;
  size_t direct_size_ ABSL_GUARDED_BY(mu_) = 0;

  // The reader's own.
  std::string reading_;
  size_t read_to_ = 0;
  uint64_t used_ = 0;  // bytes read since the last grant, overhead included
};

template <class Aborted>
Inbox::Got Inbox::Read(internal::InMessage message, Reactor* reactor, int64_t deadline, const Aborted& aborted) {
  Got got;
  for (;;) {
    if (ReadNext(message, &got)) return got;
    if (!Refill(&message, &got)) {
      if (got != Got::kTimedOut) return got;
      // Nothing is here: `message` is on offer now.
      const bool in_time =
          reactor->Wait([&] { return ready_.load(std::memory_order_seq_cst) || aborted(); }, &spot_, deadline);
      if (TakeDirect(&got)) return got;
      if (!ready_.load(std::memory_order_seq_cst)) return in_time ? Got::kAborted : Got::kTimedOut;
    }
  }
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_INBOX_H_
