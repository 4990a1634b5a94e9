#include "tests/testing/reactor_stub.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace nearcall::testing {
namespace {

// A reaction that somebody waits for.
//
// Threads: thread-safe. May go as soon as Await has returned.
class Reaction {
 public:
  void Expect() {
    absl::MutexLock lock(&mu_);
    come_ = false;
  }
  void Come(bool ok) {
    absl::MutexLock lock(&mu_);
    come_ = true;
    ok_ = ok;
  }
  bool Await() {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&come_));
    return ok_;
  }

 private:
  absl::Mutex mu_;
  bool come_ ABSL_GUARDED_BY(mu_) = false;
  bool ok_ ABSL_GUARDED_BY(mu_) = false;
};

// --- Unary ---

class UnaryCall final : public ClientUnaryReactor {
 public:
  void OnDone(const absl::Status& status) override {
    status_ = status;
    over_.Come(true);
  }
  absl::Status Await() {
    over_.Await();
    return status_;
  }

 private:
  Reaction over_;
  absl::Status status_;
};

// `bind` gives its reactor to the call that it is to make.
template <class Bind>
absl::Status Call(const Bind& bind) {
  UnaryCall call;
  bind(&call);
  call.StartCall();
  return call.Await();
}

// --- Streams ---

// What the three kinds of streams have in common: each operation as one that blocks. Holds its call from Begin to
// Finish, for its operations are started by the thread that waits for them.
template <class Reactor>
class Stream : public Reactor {
 public:
  void OnReadInitialMetadataDone(bool ok) override { metadata_.Come(ok); }
  void OnReadDone(bool ok) override { read_.Come(ok); }
  void OnWriteDone(bool ok) override { write_.Come(ok); }
  void OnWritesDoneDone(bool ok) override { writes_done_.Come(ok); }
  void OnDone(const absl::Status& status) override {
    status_ = status;
    over_.Come(true);
  }

 protected:
  // With the reactor bound; in the constructor of the class that is made.
  void Begin() {
    this->AddHold();
    this->StartCall();
  }
  void DoAwaitMetadata() { metadata_.Await(); }
  template <class R>
  bool DoRead(R* message) {
    read_.Expect();
    this->StartRead(message);
    return read_.Await();
  }
  template <class W>
  bool DoWrite(const W& message, WriteOptions options) {
    write_.Expect();
    this->StartWrite(&message, options);
    return write_.Await();
  }
  bool DoWritesDone() {
    writes_done_.Expect();
    this->StartWritesDone();
    return writes_done_.Await();
  }
  absl::Status DoFinish() {
    if (!std::exchange(finished_, true)) {
      this->RemoveHold();
      over_.Await();
    }
    return status_;
  }
  // Drops what was not read.
  template <class R>
  absl::Status DoReadAndFinish() {
    R unread;
    while (DoRead(&unread)) {
    }
    return DoFinish();
  }
  // In the destructor of the class that is made.
  void Drop() {
    if (!finished_) this->TryCancel();
    DoFinish().IgnoreError();
  }

 private:
  Reaction metadata_, read_, write_, writes_done_, over_;
  absl::Status status_;
  bool finished_ = false;
};

template <class R>
class Reader final : public ClientReaderInterface<R>, public Stream<ClientReadReactor<R>> {
 public:
  template <class Request, class Bind>
  Reader(const Request& request, const Bind& bind) {
    // The call sends it later.
    auto copy = std::make_shared<Request>(request);
    bind(copy.get(), this);
    request_ = std::move(copy);
    this->Begin();
  }
  ~Reader() override { this->Drop(); }

  void WaitForInitialMetadata() override { this->DoAwaitMetadata(); }
  bool Read(R* message) override { return this->DoRead(message); }
  absl::Status Finish() override { return this->template DoReadAndFinish<R>(); }

 private:
  std::shared_ptr<const void> request_;
};

template <class W>
class Writer final : public ClientWriterInterface<W>, public Stream<ClientWriteReactor<W>> {
 public:
  template <class Bind>
  explicit Writer(const Bind& bind) {
    bind(this);
    this->Begin();
  }
  ~Writer() override { this->Drop(); }

  bool Write(const W& message, WriteOptions options) override { return this->DoWrite(message, options); }
  bool WritesDone() override { return this->DoWritesDone(); }
  absl::Status Finish() override { return this->DoFinish(); }
};

template <class W, class R>
class ReaderWriter final : public ClientReaderWriterInterface<W, R>, public Stream<ClientBidiReactor<W, R>> {
 public:
  template <class Bind>
  explicit ReaderWriter(const Bind& bind) {
    bind(this);
    this->Begin();
  }
  ~ReaderWriter() override { this->Drop(); }

  void WaitForInitialMetadata() override { this->DoAwaitMetadata(); }
  bool Read(R* message) override { return this->DoRead(message); }
  bool Write(const W& message, WriteOptions options) override { return this->DoWrite(message, options); }
  bool WritesDone() override { return this->DoWritesDone(); }
  absl::Status Finish() override { return this->template DoReadAndFinish<R>(); }
};

// --- The stub ---

class ReactorStub final : public TestService::StubInterface {
 public:
  explicit ReactorStub(std::shared_ptr<Channel> channel) : stub_(TestService::NewStub(std::move(channel))) {}

  async_interface* async() override { return stub_->async(); }

  absl::Status Echo(ClientContext* context, const Payload& request, Payload* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Echo(context, &request, response, reactor); });
  }
  absl::Status Produce(ClientContext* context, const Payload& request, Payload* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Produce(context, &request, response, reactor); });
  }
  absl::Status Fail(ClientContext* context, const FailRequest& request, Payload* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Fail(context, &request, response, reactor); });
  }
  absl::Status Throw(ClientContext* context, const ThrowRequest& request, Payload* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Throw(context, &request, response, reactor); });
  }
  absl::Status Attach(ClientContext* context, const AttachRequest& request, AttachReply* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Attach(context, &request, response, reactor); });
  }
  absl::Status Inspect(ClientContext* context, const InspectRequest& request, CallInfo* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Inspect(context, &request, response, reactor); });
  }
  absl::Status Block(ClientContext* context, const GateRequest& request, GateState* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Block(context, &request, response, reactor); });
  }
  absl::Status Open(ClientContext* context, const GateRequest& request, GateState* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Open(context, &request, response, reactor); });
  }
  absl::Status Look(ClientContext* context, const GateRequest& request, GateState* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Look(context, &request, response, reactor); });
  }
  absl::Status Nest(ClientContext* context, const NestRequest& request, NestReply* response) override {
    return Call([&](ClientUnaryReactor* reactor) { async()->Nest(context, &request, response, reactor); });
  }

 private:
  ClientWriterInterface<Payload>* UpRaw(ClientContext* context, Payload* response) override {
    return new Writer<Payload>([&](auto* reactor) { async()->Up(context, response, reactor); });
  }
  ClientReaderInterface<Payload>* DownRaw(ClientContext* context, const DownRequest& request) override {
    return new Reader<Payload>(request,
                               [&](const auto* copy, auto* reactor) { async()->Down(context, copy, reactor); });
  }
  ClientReaderWriterInterface<Payload, Payload>* ChatRaw(ClientContext* context) override {
    return new ReaderWriter<Payload, Payload>([&](auto* reactor) { async()->Chat(context, reactor); });
  }
  ClientWriterInterface<Payload>* BlockUpRaw(ClientContext* context, Payload* response) override {
    return new Writer<Payload>([&](auto* reactor) { async()->BlockUp(context, response, reactor); });
  }
  ClientReaderWriterInterface<Payload, Payload>* HangUpRaw(ClientContext* context) override {
    return new ReaderWriter<Payload, Payload>([&](auto* reactor) { async()->HangUp(context, reactor); });
  }

  const std::unique_ptr<TestService::Stub> stub_;
};

}  // namespace

std::unique_ptr<TestService::StubInterface> NewReactorStub(std::shared_ptr<Channel> channel) {
  return std::make_unique<ReactorStub>(std::move(channel));
}

}  // namespace nearcall::testing
