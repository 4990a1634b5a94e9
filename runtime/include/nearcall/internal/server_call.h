#ifndef NEARCALL_INTERNAL_SERVER_CALL_H_
#define NEARCALL_INTERNAL_SERVER_CALL_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/buffer.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/message.h"
#include "nearcall/server_context.h"

namespace nearcall {
namespace internal {

// What carries a call forward whose handler has returned before its end.
class ServerDriver {
 public:
  virtual ~ServerDriver() = default;
  // Makes what progress it can. Called whenever the call may have moved, never twice at a time, on a thread that may
  // block. True: the call is over (TryFinish said so), and must not be used any more.
  virtual bool Drive() = 0;
  // Called after Drive has returned true, last of all.
  virtual void OnDone() = 0;
};

// The server's end of one call, as a method handler sees it: any number of Read and Write, then Finish, exactly once.
// Used either by a handler that blocks, or by one driver, which uses the functions that do not.
//
// Threads: one thread may read while another writes; Finish comes after both and may come from any thread. The call is
// gone once Finish has returned.
class ServerCall {
 public:
  virtual ServerContext* context() = 0;
  // Blocks for the next message. False when none follows: the caller is done writing, or the call is over.
  virtual bool Read(InMessage message) = 0;
  // Blocks until the caller grants room. False when the call is over and nobody reads any more.
  virtual bool Write(OutMessage message, WriteOptions options) = 0;
  // Sends the context's initial metadata now instead of with the first message. False when the call is over.
  virtual bool SendInitialMetadata() = 0;
  // Ends the call. The second form sends one last message with the status, which is OK: the answer of a unary call.
  virtual void Finish(const absl::Status& status) = 0;
  virtual void FinishWithMessage(OutMessage message) = 0;
  // Ends the call with CANCELLED for its caller, and cancels it for its handler. Any thread, until the call is over.
  virtual void TryCancel() = 0;
  // Has the call cancelled when its deadline passes, though nobody waits here. By the handler. (Driven calls are
  // always.)
  virtual void WatchDeadline() = 0;

  // Memory that the caller can map, where that is possible. RESOURCE_EXHAUSTED.
  virtual absl::StatusOr<Buffer> AllocateBuffer(size_t size) { return Buffer(size); }

  // --- Without blocking ---

  // By the handler, once, inside Run: `driver` drives the call from now on. Drives it at once.
  virtual void StartDriving(std::shared_ptr<ServerDriver> driver) = 0;
  // Has the driver look again. Any thread, until Drive has returned true.
  virtual void Wake() = 0;
  // By the driver. After kDone the message may go, though it may not be under way yet; then kNotYet until it is.
  virtual Tried TryWrite(OutMessage message, WriteOptions options) = 0;
  virtual Tried TryRead(InMessage message) = 0;
  virtual Tried TrySendInitialMetadata() = 0;
  // Ends the call; `message`, where not null, goes with a status that is OK. kOver: nobody waits for it any more.
  virtual Tried TryFinish(const absl::Status& status, const OutMessage* message) = 0;

 protected:
  ~ServerCall() = default;
};

// Serves one method. The service owns it.
//
// Threads: thread-safe; calls run side by side.
class MethodHandler {
 public:
  virtual ~MethodHandler() = default;
  // Serves one call, on a thread that may block, and finishes `call` now or later. A message that cannot be parsed is
  // the handler's to report (INVALID_ARGUMENT is what the typed handlers say).
  virtual void Run(ServerCall* call) = 0;
  // Whether Run hands its calls to a driver, which then must hear when their deadlines pass.
  virtual bool drives() const { return false; }
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_SERVER_CALL_H_
