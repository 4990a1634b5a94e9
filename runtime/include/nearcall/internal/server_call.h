#ifndef NEARCALL_INTERNAL_SERVER_CALL_H_
#define NEARCALL_INTERNAL_SERVER_CALL_H_

#include "absl/status/status.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/message.h"
#include "nearcall/server_context.h"

namespace nearcall {
namespace internal {

// The server's end of one call, as a method handler sees it: any number of Read and Write, then Finish, exactly once.
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
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_SERVER_CALL_H_
