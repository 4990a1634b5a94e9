#ifndef NEARCALL_INTERNAL_CLIENT_CALL_H_
#define NEARCALL_INTERNAL_CLIENT_CALL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "nearcall/internal/message.h"

namespace nearcall {

// How a message is written to a stream.
struct WriteOptions {
  // The message may wait in a buffer, some kilobytes large, for the next one: until a Write without the hint, or until
  // the stream's next operation of another kind. For streams that block; reactors send at once.
  bool buffer_hint = false;
  // No message follows this one: Write and WritesDone in one step.
  bool last_message = false;
};

namespace internal {

// What became of an operation that does not block.
enum class Tried : uint8_t {
  kDone,
  kNotYet,  // try again when the call has moved
  kOver,    // it will never succeed: the call is over, or no message follows
};

// The client's end of one streaming call, as the typed streams see it. Used either by threads that block, or by one
// driver (Channel::StartCallAsync), which uses the functions that do not.
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

  // --- Without blocking; by the driver ---

  // After kDone the message may go, though it may not be under way yet; then kNotYet until it is.
  virtual Tried TryWrite(OutMessage message, WriteOptions options) = 0;
  virtual Tried TryWritesDone() = 0;
  virtual Tried TryRead(InMessage message) = 0;
  virtual Tried TryWaitForInitialMetadata() = 0;
  // kNotYet until the server has ended the call, and as long as there are messages to read from a call that ended well.
  // After kDone the call is over, with *status; whatever else is tried says kOver then.
  virtual Tried TryFinish(absl::Status* status) = 0;
};

// Has a call's driver look at the call again.
class CallWaker {
 public:
  // Any thread, any time until the driver's Drive has returned true.
  virtual void Wake() = 0;

 protected:
  ~CallWaker() = default;
};

// What carries an asynchronous streaming call forward.
class ClientDriver {
 public:
  virtual ~ClientDriver() = default;
  // Makes what progress it can. Called on the channel's callback thread whenever the call may have moved, never twice at
  // a time. True: the call is over (TryFinish said so) and *status is its end.
  virtual bool Drive(ClientCall* call, absl::Status* status) = 0;
  // Called after Drive has returned true, last of all; the call is gone.
  virtual void OnDone(const absl::Status& status) = 0;
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CLIENT_CALL_H_
