#include "tests/coroutines/fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {

// --- The gate ---

void CoGate::Open() {
  std::vector<std::coroutine_handle<>> waiting;
  {
    absl::MutexLock lock(&mu_);
    open_ = true;
    waiting.swap(waiting_);
  }
  for (const std::coroutine_handle<> coroutine : waiting) coroutine.resume();
}

int CoGate::waiting() const {
  absl::MutexLock lock(&mu_);
  return static_cast<int>(waiting_.size());
}

// --- The service ---

namespace {

Task<absl::Status> CopyOver(const Payload* from, Payload* to, Frame) {
  *to = *from;
  co_return absl::OkStatus();
}

Task<absl::Status> FailWith(const FailRequest* request, Frame) {
  co_return absl::Status(static_cast<absl::StatusCode>(request->code()), request->message());
}

Task<absl::Status> ThrowAs(const ThrowRequest* request, Frame) {
  if (request->what().empty()) throw 42;
  throw std::runtime_error(request->what());
  co_return absl::OkStatus();
}

}  // namespace

ServerUnaryReactor* CoTestService::Echo(CallbackServerContext* context, const Payload* request, Payload* response) {
  return CoServe(context, CopyOver(request, response, Frame(&frames)));
}

ServerUnaryReactor* CoTestService::Fail(CallbackServerContext* context, const FailRequest* request, Payload*) {
  return CoServe(context, FailWith(request, Frame(&frames)));
}

ServerUnaryReactor* CoTestService::Throw(CallbackServerContext* context, const ThrowRequest* request, Payload*) {
  return CoServe(context, ThrowAs(request, Frame(&frames)));
}

ServerUnaryReactor* CoTestService::Block(CallbackServerContext* context, const GateRequest* request,
                                         GateState* response) {
  return CoServe(context, Wait(context, request, response, Frame(&frames)));
}

Task<absl::Status> CoTestService::Wait(ServerContext* context, const GateRequest* request, GateState* response,
                                       Frame) {
  if (request->gate().empty()) {
    co_await gate.Pass();
    co_return absl::OkStatus();
  }
  const std::unique_ptr<ClientContext> inner = ClientContext::FromServerContext(*context);
  const absl::Status status = co_await next->async()->Block(inner.get(), request, response);
  if (context->IsCancelled()) ++cancelled;
  co_return status;
}

ServerUnaryReactor* CoTestService::Nest(CallbackServerContext* context, const NestRequest*, NestReply* response) {
  return CoServe(context, CallNext(context, response, Frame(&frames)));
}

Task<absl::Status> CoTestService::CallNext(ServerContext* context, NestReply* response, Frame) {
  for (int i = 0; i < 3; ++i) {
    const std::unique_ptr<ClientContext> inner = ClientContext::FromServerContext(*context);
    const NestRequest nobody_else;
    NestReply reply;
    const absl::Status status = co_await next->async()->Nest(inner.get(), &nobody_else, &reply);
    if (!status.ok()) co_return status;
    response->MergeFrom(reply);
  }
  co_return absl::OkStatus();
}

ServerReadReactor<Payload>* CoTestService::Up(CallbackServerContext* context, Payload* response) {
  return CoServe(context, [frame = Frame(&frames), response](CoServerReader<Payload>* reader) -> Task<absl::Status> {
    int64_t count = 0;
    for (Payload message; co_await reader->Read(&message); ++count) {
      response->set_number(response->number() + message.number());
    }
    response->set_data(absl::StrCat(count));
    co_return absl::OkStatus();
  });
}

ServerReadReactor<Payload>* CoTestService::BlockUp(CallbackServerContext* context, Payload*) {
  return CoServe(context, [frame = Frame(&frames)](CoServerReader<Payload>* reader) -> Task<absl::Status> {
    Payload message;
    if (!co_await reader->Read(&message)) co_return absl::InvalidArgumentError("no message");
    throw std::runtime_error(message.data());
  });
}

ServerWriteReactor<Payload>* CoTestService::Down(CallbackServerContext* context, const DownRequest* request) {
  for (const Pair& pair : request->initial()) context->AddInitialMetadata(pair.key(), pair.value());
  for (const Pair& pair : request->trailing()) context->AddTrailingMetadata(pair.key(), pair.value());
  return CoServe(context, [this, context, request,
                           frame = Frame(&frames)](CoServerWriter<Payload>* writer) -> Task<absl::Status> {
    for (int64_t i = 0; i < request->count(); ++i) {
      if (co_await writer->Write(PayloadOf(i, static_cast<size_t>(request->size())))) continue;
      if (context->IsCancelled()) ++cancelled;
      co_return absl::AbortedError("the reader is gone");
    }
    co_return absl::Status(static_cast<absl::StatusCode>(request->code()), request->message());
  });
}

ServerBidiReactor<Payload, Payload>* CoTestService::Chat(CallbackServerContext* context) {
  return CoServe(context,
                 [frame = Frame(&frames)](CoServerReaderWriter<Payload, Payload>* stream) -> Task<absl::Status> {
                   Payload message;
                   while (co_await stream->Read(&message)) {
                     if (!co_await stream->Write(message)) co_return absl::AbortedError("the reader is gone");
                   }
                   co_return absl::OkStatus();
                 });
}

ServerBidiReactor<Payload, Payload>* CoTestService::HangUp(CallbackServerContext* context) {
  return CoServe(context, [this, context](CoServerReaderWriter<Payload, Payload>* stream) {
    return SeeCancellation(context, stream, Frame(&frames));
  });
}

Task<absl::Status> CoTestService::SeeCancellation(ServerContext* context,
                                                  CoServerReaderWriter<Payload, Payload>* stream, Frame) {
  Payload message;
  if (!co_await stream->Read(&message) || !co_await stream->Write(message)) {
    co_return absl::InvalidArgumentError("no message");
  }
  const bool more = co_await stream->Read(&message);
  const bool room = co_await stream->Write(message);
  if (!more && !room && context->IsCancelled()) ++cancelled;
  co_return absl::OkStatus();
}

// --- The test ---

CoroutineTest::CoroutineTest() : before_(Resources::Of(getpid())) {
  char name[] = "/tmp/nearcall.XXXXXX";
  directory_ = mkdtemp(name);
  server_ = Serve("blocking", &service_);
  co_server_ = Serve("coroutines", &co_service_);
  stub_ = TestService::NewStub(CreateChannel(server_->addresses().front()));
  co_stub_ = TestService::NewStub(CreateChannel(co_address()));
  co_service_.next = stub_.get();
}

CoroutineTest::~CoroutineTest() { rmdir(directory_.c_str()); }

std::unique_ptr<Server> CoroutineTest::Serve(const std::string& name, Service* service) {
  ServerOptions options;
  options.max_concurrent_calls_per_connection = 20'000;
  ServerBuilder builder;
  builder.SetOptions(options);
  builder.AddListeningPort(absl::StrCat(GetParam(), ":", directory_, "/", name));
  builder.RegisterService(service);
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

void CoroutineTest::TearDown() {
  Await([&] { return co_service_.frames.load() == 0; });
  co_stub_ = nullptr;
  co_server_ = nullptr;  // its handlers call with stub_
  stub_ = nullptr;
  server_ = nullptr;
  AwaitNoMoreThan(before_, getpid());
}

}  // namespace nearcall::testing
