#ifndef NEARCALL_INTERNAL_CLIENT_CALL_H_
#define NEARCALL_INTERNAL_CLIENT_CALL_H_

#include "absl/status/status.h"
#include "nearcall/internal/message.h"

namespace nearcall {

// How a message is written to a stream.
struct WriteOptions {
  // The message may wait in a buffer for the next one; flushed by the next Write without the hint, or WritesDone.
  bool buffer_hint = false;
  // No message follows this one: Write and WritesDone in one step.
  bool last_message = false;
};

namespace internal {

// The client's end of one streaming call, as the typed streams see it.
//
// Threads: one thread may read while another writes. The destructor cancels a call that is not over.
class ClientCall {
 public:
  virtual ~ClientCall() = default;

  // Blocks until the receiver grants room. False when the call is over: Finish() says why.
  virtual bool Write(OutMessage message, WriteOptions options) = 0;
  // Tells the server that no more messages follow. False when the call is over.
  virtual bool WritesDone() = 0;
  // Blocks for the next message. False when none follows: Finish() says why.
  virtual bool Read(InMessage message) = 0;
  // Blocks until the server's initial metadata is in the context, or the call is over.
  virtual void WaitForInitialMetadata() = 0;
  // Blocks until the server has ended the call, dropping messages that were not read. To be called once.
  virtual absl::Status Finish() = 0;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CLIENT_CALL_H_
