#ifndef NEARCALL_CLIENT_REACTOR_H_
#define NEARCALL_CLIENT_REACTOR_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/internal/client_reactor_driver.h"

namespace nearcall {

// The callback form of a caller's streams, with gRPC's names and meanings: `stub->async()->Method(&context, ..., reactor)`
// binds a reactor to a call, StartCall begins it, and operations are started on the reactor, from any thread; each is
// answered by one reaction (`OnReadDone` for `StartRead`). No thread waits meanwhile.
//
// At most one read and one write may be under way. What an operation points at must live until its reaction; context and
// reactor until OnDone has been called, which is the last reaction and the place to delete them.
//
// OnDone comes when the server has ended the call, everything that came was read, what was started has had its reaction,
// and no hold is left. Who starts operations outside of reactions holds the call meanwhile (AddHold).
//
// Reactions run on the channel's callback thread, one at a time, never inside the function that caused them: one that
// blocks holds up the channel's others. They must not throw.
template <class Request, class Response>
class ClientBidiReactor : public internal::ClientReactor {
 public:
  ClientBidiReactor() = default;

  void StartRead(Response* response) { driver()->StartRead(internal::InMessage(response)); }
  void StartWrite(const Request* request, WriteOptions options = WriteOptions()) {
    driver()->StartWrite(internal::OutMessage(*request), options);
  }
  // Writes and half-closes.
  void StartWriteLast(const Request* request, WriteOptions options = WriteOptions()) {
    options.last_message = true;
    StartWrite(request, options);
  }
  void StartWritesDone() { driver()->StartWritesDone(); }

  void OnDone(const absl::Status& /*status*/) override {}
  // The server's initial metadata is in the context; false: the call failed before.
  void OnReadInitialMetadataDone(bool /*ok*/) override {}
  // False: no message follows.
  void OnReadDone(bool /*ok*/) override {}
  // True: the message may be changed, and the next one written. False: the call is over.
  void OnWriteDone(bool /*ok*/) override {}
  void OnWritesDoneDone(bool /*ok*/) override {}

 protected:
  using Driver = internal::ClientReactorDriver;
  explicit ClientBidiReactor(std::shared_ptr<Driver> driver) : internal::ClientReactor(std::move(driver)) {}
};

// The reactor of a server-streaming call.
template <class Response>
class ClientReadReactor : public internal::ClientReactor {
 public:
  ClientReadReactor() = default;

  void StartRead(Response* response) { driver()->StartRead(internal::InMessage(response)); }

  void OnDone(const absl::Status& /*status*/) override {}
  void OnReadInitialMetadataDone(bool /*ok*/) override {}
  void OnReadDone(bool /*ok*/) override {}

 protected:
  using Driver = internal::ClientReactorDriver;
  explicit ClientReadReactor(std::shared_ptr<Driver> driver) : internal::ClientReactor(std::move(driver)) {}
};

// The reactor of a client-streaming call; the response is there when OnDone says OK.
template <class Request>
class ClientWriteReactor : public internal::ClientReactor {
 public:
  ClientWriteReactor() = default;

  void StartWrite(const Request* request, WriteOptions options = WriteOptions()) {
    driver()->StartWrite(internal::OutMessage(*request), options);
  }
  void StartWriteLast(const Request* request, WriteOptions options = WriteOptions()) {
    options.last_message = true;
    StartWrite(request, options);
  }
  void StartWritesDone() { driver()->StartWritesDone(); }

  void OnDone(const absl::Status& /*status*/) override {}
  void OnReadInitialMetadataDone(bool /*ok*/) override {}
  void OnWriteDone(bool /*ok*/) override {}
  void OnWritesDoneDone(bool /*ok*/) override {}

 protected:
  using Driver = internal::ClientReactorDriver;
  explicit ClientWriteReactor(std::shared_ptr<Driver> driver) : internal::ClientReactor(std::move(driver)) {}
};

// The reactor of a unary call; the response is there when OnDone says OK.
class ClientUnaryReactor {
 public:
  ClientUnaryReactor() = default;
  virtual ~ClientUnaryReactor() = default;
  ClientUnaryReactor(const ClientUnaryReactor&) = delete;
  ClientUnaryReactor& operator=(const ClientUnaryReactor&) = delete;

  void StartCall() { start_([this](absl::Status status) { End(status); }); }

  virtual void OnDone(const absl::Status& /*status*/) {}
  virtual void OnReadInitialMetadataDone(bool /*ok*/) {}

  // For stubs: `start` makes the call, with a callback.
  void Bind(std::function<void(std::function<void(absl::Status)>)> start) { start_ = std::move(start); }

 private:
  void End(const absl::Status& status) {
    OnReadInitialMetadataDone(status.ok());
    OnDone(status);
  }

  std::function<void(std::function<void(absl::Status)>)> start_;
};

}  // namespace nearcall

#endif  // NEARCALL_CLIENT_REACTOR_H_
