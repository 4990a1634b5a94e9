#ifndef NEARCALL_RUNTIME_ENGINE_PENDING_CALL_H_
#define NEARCALL_RUNTIME_ENGINE_PENDING_CALL_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/message.h"
#include "runtime/engine/attachments.h"
#include "runtime/engine/call_table.h"
#include "runtime/engine/credit.h"
#include "runtime/engine/inbox.h"
#include "runtime/engine/session_options.h"
#include "runtime/engine/wait_spot.h"

namespace nearcall {

// Told that a call has moved: a message or room for one has come, or its end. Any thread; must be short, and must not
// call what tells it.
class CallObserver {
 public:
  virtual void OnMove() = 0;

 protected:
  ~CallObserver() = default;
};

// What a client session knows of one call that it has under way. A blocking unary call keeps it on its stack.
//
// Threads: the poller writes it while it delivers (CallTable), the owner reads it once the call is done; what both use
// meanwhile is atomic or has a lock of its own.
struct PendingCall {
  PendingCall(ClientContext* c, internal::InMessage r) : context(c), response(r), spot(c), writer_spot(c) {}

  // As new, for another attempt.
  void Reset() {
    status = absl::OkStatus();
    may_retry = lost = false;
    position = 0;
    inbox.reset();
    attachments.reset();
  }
  // A unary response that came in fragments is whole now: parses it.
  void TakeAssembledResponse();

  // Of an asynchronous call: told when it has moved, and when it is over.
  CallObserver* observer = nullptr;
  CallTable<PendingCall>::Ticket ticket;

  ClientContext* const context;
  const internal::InMessage response;  // of a unary call
  bool is_stream = false;
  bool may_retry = false;
  bool lost = false;  // the connection ended before the call
  absl::Status status;
  // Where its request ended on the Wire, of a stream its first frame; 0: not sent. Under the send lock.
  uint64_t position = 0;
  std::unique_ptr<Inbox> inbox;                      // of a stream, and of a unary response in fragments
  std::shared_ptr<ReceivedAttachments> attachments;  // that came before the answer
  Credit credit;
  std::atomic<bool> has_initial_metadata{false};
  WaitSpot spot;         // where the call's owner waits for its end
  WaitSpot writer_spot;  // where a stream's writer waits for credit
};

absl::Status UnreadableResponse();

// Parses a payload where it lies, or a copy of it if the peer can still change it.
bool ParseCopyOfPayload(internal::InMessage message, const uint8_t* data, size_t size);
inline bool ParsePayload(internal::InMessage message, const uint8_t* data, size_t size, bool trusted) {
  return trusted ? message.Parse(data, size) : ParseCopyOfPayload(message, data, size);
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_PENDING_CALL_H_
