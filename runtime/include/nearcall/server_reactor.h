#ifndef NEARCALL_SERVER_REACTOR_H_
#define NEARCALL_SERVER_REACTOR_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/internal/server_reactor_driver.h"
#include "nearcall/server_context.h"

namespace nearcall {

// The callback form of a server's methods (the generated CallbackService), with gRPC's names and meanings: a method gets
// its call going and returns a reactor; operations are started on the reactor, from any thread, and each is answered by
// one reaction (`OnReadDone` for `StartRead`). No thread waits meanwhile.
//
// At most one read and one write may be under way. What an operation points at must live until its reaction.
//
// Reactions run on the server's threads, one at a time for each reactor, never inside the function that caused them.
// A short one runs on the thread that polls, so it should not block; one that does is found out, and its method's calls
// go to other threads from then on.
//
// Every reactor must Finish, even after OnCancel; OnDone is then the last reaction, and the place to delete the reactor.
// A reaction that throws finishes the call with UNKNOWN; what OnDone throws is dropped.
using CallbackServerContext = ServerContext;

// The reactor of a unary method: Finish with OK sends the response that the method was given.
class ServerUnaryReactor : public internal::ServerReactor {
 public:
  // Sends the context's initial metadata now instead of with the answer.
  void StartSendInitialMetadata() { driver()->StartSendInitialMetadata(); }
  // Ends the call. To be called once, from any thread.
  void Finish(absl::Status status) { driver()->Finish(std::move(status)); }

  // The call is over, and nothing of it is used any more.
  void OnDone() override = 0;
  // Nobody waits for the answer any more: the caller cancelled, its deadline passed, or its connection is gone.
  void OnCancel() override {}
  void OnSendInitialMetadataDone(bool /*ok*/) override {}
};

// The reactor of a client-streaming method. `Finish` with OK sends the response that the method was given.
template <class Request>
class ServerReadReactor : public internal::ServerReactor {
 public:
  void StartSendInitialMetadata() { driver()->StartSendInitialMetadata(); }
  // Reads the next message into `request`.
  void StartRead(Request* request) { driver()->StartRead(internal::InMessage(request)); }
  void Finish(absl::Status status) { driver()->Finish(std::move(status)); }

  void OnDone() override = 0;
  void OnCancel() override {}
  void OnSendInitialMetadataDone(bool /*ok*/) override {}
  // False: no message follows.
  void OnReadDone(bool /*ok*/) override {}
};

// The reactor of a server-streaming method.
template <class Response>
class ServerWriteReactor : public internal::ServerReactor {
 public:
  void StartSendInitialMetadata() { driver()->StartSendInitialMetadata(); }
  void StartWrite(const Response* response, WriteOptions options = WriteOptions()) {
    driver()->StartWrite(internal::OutMessage(*response), options);
  }
  // The last message; Finish must follow.
  void StartWriteLast(const Response* response, WriteOptions options = WriteOptions()) {
    StartWrite(response, options);
  }
  // Writes and finishes; of the reactions only OnDone follows.
  void StartWriteAndFinish(const Response* response, WriteOptions options, absl::Status status) {
    driver()->StartWriteAndFinish(internal::OutMessage(*response), options, std::move(status));
  }
  void Finish(absl::Status status) { driver()->Finish(std::move(status)); }

  void OnDone() override = 0;
  void OnCancel() override {}
  void OnSendInitialMetadataDone(bool /*ok*/) override {}
  // True: the message may be changed, and the next one written. False: nobody reads any more.
  void OnWriteDone(bool /*ok*/) override {}
};

// The reactor of a bidirectional method.
template <class Request, class Response>
class ServerBidiReactor : public internal::ServerReactor {
 public:
  void StartSendInitialMetadata() { driver()->StartSendInitialMetadata(); }
  void StartRead(Request* request) { driver()->StartRead(internal::InMessage(request)); }
  void StartWrite(const Response* response, WriteOptions options = WriteOptions()) {
    driver()->StartWrite(internal::OutMessage(*response), options);
  }
  void StartWriteLast(const Response* response, WriteOptions options = WriteOptions()) {
    StartWrite(response, options);
  }
  void StartWriteAndFinish(const Response* response, WriteOptions options, absl::Status status) {
    driver()->StartWriteAndFinish(internal::OutMessage(*response), options, std::move(status));
  }
  void Finish(absl::Status status) { driver()->Finish(std::move(status)); }

  void OnDone() override = 0;
  void OnCancel() override {}
  void OnSendInitialMetadataDone(bool /*ok*/) override {}
  void OnReadDone(bool /*ok*/) override {}
  void OnWriteDone(bool /*ok*/) override {}
};

}  // namespace nearcall

#endif  // NEARCALL_SERVER_REACTOR_H_
