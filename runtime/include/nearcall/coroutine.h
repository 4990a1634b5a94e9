#ifndef NEARCALL_COROUTINE_H_
#define NEARCALL_COROUTINE_H_

// Calls and handlers as C++20 coroutines. On its own, and not part of nearcall.h: everything else is C++17.
//
//   nearcall::Task<absl::Status> Greet(Greeter::Stub* stub) {
//     nearcall::ClientContext context;
//     HelloRequest request;
//     HelloReply reply;
//     co_return co_await stub->async()->SayHello(&context, &request, &reply);
//   }
//   absl::Status status = nearcall::BlockOn(Greet(stub.get()));
//
// Threads: a coroutine that waits holds no thread. It goes on where its answer comes in: after a call, or an operation
// of a CoClient stream, on the channel's callback thread; after an operation of a CoServer stream on a thread of the
// server's; never inside the operation. So a coroutine that blocks holds up others, as a callback does. Coroutines do not
// run at the same time unless they were started apart (Spawn, BlockOn, two handlers).
//
// Lifetime: a coroutine's frame keeps what it has: locals and parameters, but not what a pointer or a reference among
// these points at, and not a lambda's captures (those belong to the lambda). A Task that waits must not be destroyed.

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "nearcall/coroutine.h needs C++20"
#endif

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/client_reactor.h"
#include "nearcall/internal/co_client_stream.h"
#include "nearcall/internal/co_operation.h"
#include "nearcall/internal/co_serve.h"
#include "nearcall/server_reactor.h"
#include "nearcall/task.h"

namespace nearcall {

// --- Streams, the caller's end ---
//
// `stub->async()->Method(&context, ..., &stream)` binds a stream to a call, StartCall begins it; then each operation is
// awaited before the next of its kind, by one coroutine that reads and one that writes. Finish comes last.
//
// Errors: Read, Write and WritesDone are false when the call is over, for whatever reason; Finish tells the reason.
// Lifetime: context, request, response and stream are the caller's and must live until Finish has been awaited. Or the
// stream is dropped before that: then the call is cancelled, the other three may go, and what is left of the call
// ends by itself. A message that is read or written must live until its operation has been awaited.

// Of a server-streaming call.
template <class R>
class CoClientReader final : public ClientReadReactor<R> {
 public:
  CoClientReader() : CoClientReader(std::make_shared<internal::CoClientStream>(/*reads=*/true)) {}
  ~CoClientReader() override { stream_->Drop(); }

  void StartCall() { stream_->Begin(); }
  // The next message; false: none follows.
  auto Read(R* message) {
    return internal::CoOperation([stream = stream_.get(), message](internal::CoWaiter* waiter) {
      return stream->Read(internal::InMessage(message), waiter);
    });
  }
  // Drops what was not read, and waits for the server's status.
  auto Finish() { return internal::CoFinish(stream_.get()); }

 private:
  using Base = ClientReadReactor<R>;
  explicit CoClientReader(std::shared_ptr<internal::CoClientStream> stream)
      : Base(stream->driver()), stream_(std::move(stream)) {}
  using Base::AddHold;
  using Base::AddMultipleHolds;
  using Base::RemoveHold;
  using Base::StartRead;

  const std::shared_ptr<internal::CoClientStream> stream_;
};

// Of a client-streaming call; the response is there when Finish says OK.
template <class W>
class CoClientWriter final : public ClientWriteReactor<W> {
 public:
  CoClientWriter() : CoClientWriter(std::make_shared<internal::CoClientStream>(/*reads=*/false)) {}
  ~CoClientWriter() override { stream_->Drop(); }

  void StartCall() { stream_->Begin(); }
  // Waits for room; then `message` is on its way.
  auto Write(const W& message, WriteOptions options = WriteOptions()) {
    return internal::CoOperation([stream = stream_.get(), message = &message, options](internal::CoWaiter* waiter) {
      return stream->Write(internal::OutMessage(*message), options, waiter);
    });
  }
  // No messages follow.
  auto WritesDone() {
    return internal::CoOperation(
        [stream = stream_.get()](internal::CoWaiter* waiter) { return stream->WritesDone(waiter); });
  }
  // Waits for the server's response and status. Await WritesDone first.
  auto Finish() { return internal::CoFinish(stream_.get()); }

 private:
  using Base = ClientWriteReactor<W>;
  explicit CoClientWriter(std::shared_ptr<internal::CoClientStream> stream)
      : Base(stream->driver()), stream_(std::move(stream)) {}
  using Base::AddHold;
  using Base::AddMultipleHolds;
  using Base::RemoveHold;
  using Base::StartWrite;
  using Base::StartWriteLast;
  using Base::StartWritesDone;

  const std::shared_ptr<internal::CoClientStream> stream_;
};

// Of a bidirectional call.
template <class W, class R>
class CoClientReaderWriter final : public ClientBidiReactor<W, R> {
 public:
  CoClientReaderWriter() : CoClientReaderWriter(std::make_shared<internal::CoClientStream>(/*reads=*/true)) {}
  ~CoClientReaderWriter() override { stream_->Drop(); }

  void StartCall() { stream_->Begin(); }
  auto Read(R* message) {
    return internal::CoOperation([stream = stream_.get(), message](internal::CoWaiter* waiter) {
      return stream->Read(internal::InMessage(message), waiter);
    });
  }
  auto Write(const W& message, WriteOptions options = WriteOptions()) {
    return internal::CoOperation([stream = stream_.get(), message = &message, options](internal::CoWaiter* waiter) {
      return stream->Write(internal::OutMessage(*message), options, waiter);
    });
  }
  auto WritesDone() {
    return internal::CoOperation(
        [stream = stream_.get()](internal::CoWaiter* waiter) { return stream->WritesDone(waiter); });
  }
  auto Finish() { return internal::CoFinish(stream_.get()); }

 private:
  using Base = ClientBidiReactor<W, R>;
  explicit CoClientReaderWriter(std::shared_ptr<internal::CoClientStream> stream)
      : Base(stream->driver()), stream_(std::move(stream)) {}
  using Base::AddHold;
  using Base::AddMultipleHolds;
  using Base::RemoveHold;
  using Base::StartRead;
  using Base::StartWrite;
  using Base::StartWriteLast;
  using Base::StartWritesDone;

  const std::shared_ptr<internal::CoClientStream> stream_;
};

// --- Handlers ---
//
// A method of a generated CallbackService as a coroutine: it says `return CoServe(context, ...)`, and the status that the
// coroutine returns ends the call; an exception does so with UNKNOWN.
//
// Threads: it begins on the thread that the method was called on, a thread of the server's that should not be blocked.
// Lifetime: context, request and response live until the coroutine has ended; its frame goes before them. Every server
// must live until its handlers have ended: its destructor waits.
// Cancellation: Read and Write are false then, IsCancelled of the context is true, and calls whose context is
// ClientContext::FromServerContext end; the coroutine still runs to its end.

// A unary method: `return CoServe(context, Handle(context, request, response));`
inline ServerUnaryReactor* CoServe(CallbackServerContext* context, Task<absl::Status> task) {
  auto* const reactor = new internal::CoServerUnary;
  internal::Serve(context, reactor, [task = std::move(task)]() mutable { return std::move(task); });
  return reactor;
}

// A streaming method. `handler` is a function, or an object that is called, with a CoServerReader<R>*,
// CoServerWriter<W>* or CoServerReaderWriter<W, R>* for its stream; it returns a Task<absl::Status>, and is kept until
// that has ended, so that a lambda may be a coroutine and use its captures.
template <class Handler, class Stream = typename internal::StreamOf<Handler>::Type>
Stream* CoServe(CallbackServerContext* context, Handler handler) {
  Stream* const stream = Stream::Make();
  internal::Serve(context, stream, [stream, handler = std::move(handler)]() mutable { return handler(stream); });
  return stream;
}

// --- Streams, the handler's end ---
//
// Each operation is awaited before the next of its kind, by one coroutine that reads and one that writes. The call owns
// the stream, which is there until the handler's coroutine has ended.
//
// Errors: false when the call is over and nobody waits for it any more.

// Of a client-streaming method.
template <class R>
class CoServerReader final : public ServerReadReactor<R> {
 public:
  // The next message; false: none follows.
  auto Read(R* message) {
    return internal::CoOperation([this, message](internal::CoWaiter* waiter) {
      reading_ = waiter;
      this->StartRead(message);
      return true;
    });
  }

  // For CoServe.
  static CoServerReader* Make() { return new CoServerReader; }

 private:
  using Base = ServerReadReactor<R>;
  CoServerReader() = default;
  using Base::Finish;
  using Base::StartRead;
  void OnReadDone(bool ok) override { internal::Answer(&reading_, ok); }
  void OnDone() override { delete this; }

  internal::CoWaiter* reading_ = nullptr;
};

// Of a server-streaming method.
template <class W>
class CoServerWriter final : public ServerWriteReactor<W> {
 public:
  // Waits for room; then `message` is on its way.
  auto Write(const W& message, WriteOptions options = WriteOptions()) {
    return internal::CoOperation([this, message = &message, options](internal::CoWaiter* waiter) {
      writing_ = waiter;
      this->StartWrite(message, options);
      return true;
    });
  }

  // For CoServe.
  static CoServerWriter* Make() { return new CoServerWriter; }

 private:
  using Base = ServerWriteReactor<W>;
  CoServerWriter() = default;
  using Base::Finish;
  using Base::StartWrite;
  using Base::StartWriteLast;
  using Base::StartWriteAndFinish;
  void OnWriteDone(bool ok) override { internal::Answer(&writing_, ok); }
  void OnDone() override { delete this; }

  internal::CoWaiter* writing_ = nullptr;
};

// Of a bidirectional method. (The order of the parameters is ServerReaderWriter's.)
template <class W, class R>
class CoServerReaderWriter final : public ServerBidiReactor<R, W> {
 public:
  auto Read(R* message) {
    return internal::CoOperation([this, message](internal::CoWaiter* waiter) {
      reading_ = waiter;
      this->StartRead(message);
      return true;
    });
  }
  auto Write(const W& message, WriteOptions options = WriteOptions()) {
    return internal::CoOperation([this, message = &message, options](internal::CoWaiter* waiter) {
      writing_ = waiter;
      this->StartWrite(message, options);
      return true;
    });
  }

  // For CoServe.
  static CoServerReaderWriter* Make() { return new CoServerReaderWriter; }

 private:
  using Base = ServerBidiReactor<R, W>;
  CoServerReaderWriter() = default;
  using Base::Finish;
  using Base::StartRead;
  using Base::StartWrite;
  using Base::StartWriteLast;
  using Base::StartWriteAndFinish;
  void OnReadDone(bool ok) override { internal::Answer(&reading_, ok); }
  void OnWriteDone(bool ok) override { internal::Answer(&writing_, ok); }
  void OnDone() override { delete this; }

  internal::CoWaiter* reading_ = nullptr;
  internal::CoWaiter* writing_ = nullptr;
};

}  // namespace nearcall

#endif  // NEARCALL_COROUTINE_H_
