// What only services with reactors can do. The service of each test is made for it, in this process.

#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/reactors.h"
#include "tests/testing/fault.h"
#include "tests/testing/process.h"

namespace nearcall::testing {
namespace {

using Chatter = ServerBidiReactor<Payload, Payload>;

// A service whose methods are what the test says; Look counts as one that always works.
class Scripted final : public TestService::CallbackService {
 public:
  std::function<ServerUnaryReactor*(CallbackServerContext*, const Payload*, Payload*)> echo;
  std::function<Chatter*(CallbackServerContext*)> chat;
  std::function<ServerWriteReactor<Payload>*(CallbackServerContext*)> down;

 private:
  ServerUnaryReactor* Echo(CallbackServerContext* context, const Payload* request, Payload* response) override {
    return echo(context, request, response);
  }
  Chatter* Chat(CallbackServerContext* context) override { return chat(context); }
  ServerWriteReactor<Payload>* Down(CallbackServerContext* context, const DownRequest*) override {
    return down(context);
  }
  ServerUnaryReactor* Look(CallbackServerContext* context, const GateRequest*, GateState*) override {
    ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(absl::OkStatus());
    return reactor;
  }
};

// The server of such a service.
class ScriptedServer {
 public:
  ScriptedServer(Scripted* service, const std::string& address) {
    ServerBuilder builder;
    builder.AddListeningPort(address);
    builder.RegisterService(service);
    server_ = *builder.BuildAndStart();
  }
  Server* operator->() const { return server_.get(); }
  std::string address() const { return server_->addresses().front(); }

 private:
  std::unique_ptr<Server> server_;
};

// Threads that the reactions of a service start; joined in the end.
//
// Threads: thread-safe.
class Elsewhere {
 public:
  ~Elsewhere() {
    absl::MutexLock lock(&mu_);
    for (std::thread& thread : threads_) thread.join();
  }
  void Run(std::function<void()> work) {
    absl::MutexLock lock(&mu_);
    threads_.emplace_back(std::move(work));
  }

 private:
  absl::Mutex mu_;
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
};

bool Works(TestService::StubInterface* stub) { return stub->Look(GateRequest()).ok(); }

// A reactor whose reactions are checked, counted and what the test says; `on_done` comes after it is deleted.
class ScriptedChat final : public Chatter {
 public:
  std::function<void(ScriptedChat*, bool)> on_read, on_write, on_metadata;
  std::function<void(ScriptedChat*)> on_cancel;
  std::function<void()> on_done;
  Payload message;

  void Read() {
    Operate([this] { StartRead(&message); });
  }
  void Write() {
    Operate([this] { StartWrite(&message); });
  }
  void End(absl::Status status) {
    Operate([&] { Finish(std::move(status)); });
  }

 private:
  void OnReadDone(bool ok) override { Happened(on_read, this, ok); }
  void OnWriteDone(bool ok) override { Happened(on_write, this, ok); }
  void OnSendInitialMetadataDone(bool ok) override { Happened(on_metadata, this, ok); }
  void OnCancel() override {
    EXPECT_EQ(++cancels_, 1);
    Happened(on_cancel, this);
  }
  void OnDone() override {
    checker_.Last();
    const std::function<void()> done = std::move(on_done);
    delete this;
    if (done) done();
  }
  template <class... Arguments>
  void Happened(const std::function<void(Arguments...)>& reaction, Arguments... arguments) {
    const Checker::Scope scope(&checker_);
    if (reaction) reaction(arguments...);
  }

  Checker checker_;
  int cancels_ = 0;
};

TEST_P(Conformance, AServiceMayFinishOnAnotherThread) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  Elsewhere elsewhere;
  service.echo = [&](CallbackServerContext* context, const Payload* request, Payload* response) {
    ServerUnaryReactor* const reactor = context->DefaultReactor();
    elsewhere.Run([=] {
      *response = *request;
      reactor->Finish(absl::OkStatus());
    });
    return reactor;
  };
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_read = [&](ScriptedChat* self, bool) {
      elsewhere.Run([self] { self->End(absl::NotFoundError("elsewhere")); });
    };
    chat->Read();
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  for (int i = 0; i < 100; ++i) {
    const absl::StatusOr<Payload> reply = stub->Echo(PayloadOf(i % 10 == 0 ? 300'000 : 10, i));
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_EQ(reply->number(), i);
    ClientContext context;
    const auto stream = stub->Chat(&context);
    stream->Write(Payload());
    ASSERT_EQ(stream->Finish().code(), absl::StatusCode::kNotFound);
  }
}

// Whoever has an answer, and has given its buffers back, finds them free, however long its call takes to end.
TEST_P(Conformance, AnAnswersBuffersWaitForNoReactorToBeDone) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  if (!mechanism().passes_fds) GTEST_SKIP() << "this transport copies";
  Scripted service;
  absl::Notification over;
  absl::Mutex mu;
  std::vector<const uint8_t*> allocated;
  service.chat = [&](CallbackServerContext* context) {
    auto* const chat = new ScriptedChat;
    chat->on_done = [&] { over.WaitForNotification(); };
    const Buffer buffer = *context->AllocateBuffer(100'000);
    {
      absl::MutexLock lock(&mu);
      allocated.push_back(buffer.data());
    }
    context->Attach(buffer);
    chat->End(absl::OkStatus());
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    EXPECT_TRUE(stub->Chat(&context)->Finish().ok());
    EXPECT_EQ(context.attachments().size(), 1u);
  }
  over.Notify();
  absl::MutexLock lock(&mu);
  EXPECT_EQ(allocated, std::vector<const uint8_t*>(3, allocated.front()));
}

// However the call ends before its time, its reactor hears of it once and finishes then.
TEST_P(Conformance, AServiceHearsThatNobodyWaits) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  enum How { kByTheClient, kByTheDeadline, kByTheServer, kByDroppingTheChannel };
  Scripted service;
  std::atomic<int> opened{0}, cancelled{0}, done{0};
  service.chat = [&](CallbackServerContext* context) {
    auto* const chat = new ScriptedChat;
    chat->on_read = [context](ScriptedChat* self, bool ok) {
      if (!ok) return;  // of the read that the end cut off
      if (self->message.number() == kByTheServer) context->TryCancel();
      self->Read();
    };
    chat->on_cancel = [&, context](ScriptedChat* self) {
      EXPECT_TRUE(context->IsCancelled());
      ++cancelled;
      self->End(absl::AbortedError("nobody hears it"));
    };
    chat->on_done = [&] { ++done; };
    chat->Read();
    ++opened;
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  for (int i = 0; i < 5; ++i) {
    for (const How how : {kByTheClient, kByTheDeadline, kByTheServer, kByDroppingTheChannel}) {
      const int before = opened;
      Stub stub = StubOn(CreateChannel(server.address()));
      ClientContext context;
      if (how == kByTheDeadline) context.set_timeout(absl::Milliseconds(50));
      auto stream = stub->Chat(&context);
      stream->Write(PayloadOf(10, how));
      if (how == kByTheDeadline) {
        const absl::Status status = stream->Finish();
        // A caller that is held up beyond its deadline may find the reactor's answer there.
        EXPECT_TRUE(absl::IsDeadlineExceeded(status) || absl::IsAborted(status)) << status;
        EXPECT_TRUE(Works(stub.get()));  // what has not been begun by now never will
      } else {
        Await([&] { return opened == before + 1; });
        if (how == kByTheClient) context.TryCancel();
        if (how == kByDroppingTheChannel) {
          stub.reset();
        } else {
          EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
        }
        stream.reset();
      }
      Await([&] { return cancelled == opened && done == opened; });
    }
  }
  EXPECT_GE(opened, 15);
}

TEST_P(Conformance, AReactorMayEndWhileItIsCancelled) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  Elsewhere elsewhere;
  service.echo = [&](CallbackServerContext* context, const Payload*, Payload* response) {
    ServerUnaryReactor* const reactor = context->DefaultReactor();
    elsewhere.Run([=] {
      response->set_number(1);
      reactor->Finish(absl::OkStatus());
    });
    return reactor;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  for (int i = 0; i < 300; ++i) {
    ClientContext context;
    std::thread canceller([&] { context.TryCancel(); });
    Payload response;
    const absl::Status status = stub->Echo(&context, Payload(), &response);
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kCancelled) << status;
    canceller.join();
  }
  EXPECT_TRUE(Works(stub.get()));
}

TEST_P(Conformance, AReactionThatThrowsFailsItsCall) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  std::atomic<int> done{0};
  service.echo = [](CallbackServerContext*, const Payload*, Payload*) -> ServerUnaryReactor* {
    throw std::runtime_error("no reactor");
  };
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_read = [](ScriptedChat* self, bool) {
      if (self->message.number() == 0) throw std::runtime_error("on purpose");
      self->Write();
    };
    chat->on_write = [](ScriptedChat*, bool) { throw 42; };
    chat->on_done = [&] {
      ++done;
      throw std::runtime_error("at the very end");
    };
    chat->Read();
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  EXPECT_EQ(stub->Echo(Payload()).status(), absl::UnknownError("no reactor"));
  for (int i = 0; i < 10; ++i) {
    ClientContext context;
    const auto stream = stub->Chat(&context);
    stream->Write(PayloadOf(1, i % 2));
    const absl::Status status = stream->Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnknown) << status;
    EXPECT_EQ(status.message() == "on purpose", i % 2 == 0) << status;
  }
  Await([&] { return done == 10; });
  EXPECT_TRUE(Works(stub.get()));
}

TEST_P(Conformance, AMethodWithoutAReactorIsNotImplemented) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  service.echo = [](CallbackServerContext*, const Payload*, Payload*) { return nullptr; };
  service.chat = [](CallbackServerContext*) { return nullptr; };
  service.down = [](CallbackServerContext*) { return nullptr; };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  EXPECT_EQ(stub->Echo(Payload()).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(stub->Produce(Payload()).status().code(), absl::StatusCode::kUnimplemented);  // nobody has overridden it
  for (int i = 0; i < 3; ++i) {
    ClientContext up_context, down_context, chat_context;
    Payload response;
    EXPECT_EQ(stub->Up(&up_context, &response)->Finish().code(), absl::StatusCode::kUnimplemented);
    EXPECT_EQ(stub->Down(&down_context, DownRequest())->Finish().code(), absl::StatusCode::kUnimplemented);
    EXPECT_EQ(stub->Chat(&chat_context)->Finish().code(), absl::StatusCode::kUnimplemented);
  }
  EXPECT_TRUE(Works(stub.get()));
}

TEST_P(Conformance, AServiceMayWriteAndFinishInOneStep) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  struct Writer final : ServerWriteReactor<Payload> {
    Writer(CallbackServerContext* context, size_t size, bool in_one_step) : one_step(in_one_step) {
      context->AddTrailingMetadata("last", "yes");
      message = PayloadOf(size, 1);
      StartWrite(&message);
    }
    void OnWriteDone(bool ok) override {
      EXPECT_TRUE(ok);
      ++writes;
      message.set_number(message.number() + 1);
      if (message.number() < 3) return StartWrite(&message);
      if (one_step) return StartWriteAndFinish(&message, WriteOptions(), absl::NotFoundError("that was all"));
      if (message.number() == 3) return StartWriteLast(&message);
      Finish(absl::NotFoundError("that was all"));
    }
    void OnDone() override {
      EXPECT_EQ(writes, one_step ? 2 : 3);
      delete this;
    }
    Payload message;
    const bool one_step;
    int writes = 0;
  };
  for (const size_t size : {10u, 200'000u, 3'000'000u}) {
    for (const bool one_step : {false, true}) {
      Scripted service;
      service.down = [&](CallbackServerContext* context) { return new Writer(context, size, one_step); };
      const ScriptedServer server(&service, AddressForServer());
      const Stub stub = StubOn(CreateChannel(server.address()));
      ClientContext context;
      const auto reader = stub->Down(&context, DownRequest());
      Payload message;
      int64_t count = 0;
      while (reader->Read(&message)) {
        EXPECT_EQ(message.number(), ++count);
        EXPECT_EQ(message.data().size(), size);
      }
      EXPECT_EQ(count, 3);
      EXPECT_EQ(reader->Finish(), absl::NotFoundError("that was all"));
      EXPECT_EQ(context.GetServerTrailingMetadata().Get("last").value_or(""), "yes");
    }
  }
}

TEST_P(Conformance, AServiceMaySendItsMetadataFirst) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  absl::Mutex mu;
  std::function<void()> go_on;
  service.chat = [&](CallbackServerContext* context) {
    context->AddInitialMetadata("first", "1");
    auto* const chat = new ScriptedChat;
    chat->on_metadata = [&](ScriptedChat* self, bool ok) {
      EXPECT_TRUE(ok);
      absl::MutexLock lock(&mu);
      go_on = [self] { self->End(absl::OkStatus()); };
    };
    chat->StartSendInitialMetadata();
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  ClientContext context;
  const auto stream = stub->Chat(&context);
  stream->WaitForInitialMetadata();
  EXPECT_EQ(context.GetServerInitialMetadata().Get("first").value_or(""), "1");
  Await([&] {
    absl::MutexLock lock(&mu);
    return go_on != nullptr;
  });
  go_on();
  EXPECT_TRUE(stream->Finish().ok());
}

// What was started and cannot happen any more is answered before the end.
TEST_P(Conformance, AReadUnderWayEndsWithTheCall) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  std::atomic<int> failed{0}, done{0};
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_read = [&](ScriptedChat*, bool ok) {
      EXPECT_FALSE(ok);
      ++failed;
    };
    chat->on_done = [&] {
      EXPECT_EQ(failed, done + 1);
      ++done;
    };
    chat->Read();
    chat->End(absl::OkStatus());
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  for (int i = 1; i <= 20; ++i) {
    ClientContext context;
    EXPECT_TRUE(stub->Chat(&context)->Finish().ok());
    Await([&] { return done == i; });
  }
}

// Operations of one reactor from its reactions and from two other threads, all the time.
TEST_P(Conformance, AServiceMayStartOperationsOnAnyThread) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  constexpr int kCount = 3000;
  Scripted service;
  std::atomic<ScriptedChat*> open{nullptr};
  std::atomic<int> read{0}, written{0};
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_read = [&](ScriptedChat* self, bool ok) {
      ASSERT_TRUE(ok);
      if (++read % 2 == 0 && read < kCount) self->Read();
    };
    chat->on_write = [&](ScriptedChat*, bool ok) {
      ASSERT_TRUE(ok);
      ++written;
    };
    open = chat;
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Await([&] { return open != nullptr; });
  std::thread server_reads([&] {
    open.load()->Read();
    for (int next = 1; next < kCount; next += 2) {
      Await([&] { return read >= next; });
      open.load()->Read();
    }
  });
  Payload out = PayloadOf(30);
  std::thread server_writes([&] {
    for (int i = 0; i < kCount; ++i) {
      Await([&] { return written == i; });
      Operate([&] { open.load()->StartWrite(&out); });
    }
  });
  std::thread client_reads([&] {
    Payload message;
    for (int i = 0; i < kCount; ++i) ASSERT_TRUE(stream->Read(&message));
  });
  for (int i = 0; i < kCount; ++i) ASSERT_TRUE(stream->Write(PayloadOf(30, i)));
  server_reads.join();
  server_writes.join();
  client_reads.join();
  Await([&] { return read == kCount && written == kCount; });
  open.load()->End(absl::OkStatus());
  EXPECT_TRUE(stream->Finish().ok());
}

// It is found out, and its like run on other threads from then on; so does what comes meanwhile.
TEST_P(Conformance, AReactionOfAServiceThatBlocksHoldsUpNobody) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  constexpr int kBlocked = 10;
  Scripted service;
  std::atomic<int> inside{0};
  absl::Notification go_on;
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_read = [&](ScriptedChat* self, bool) {
      ++inside;
      go_on.WaitForNotification();
      self->End(absl::OkStatus());
    };
    chat->Read();
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  std::vector<std::unique_ptr<ClientContext>> contexts;
  std::vector<std::unique_ptr<ClientReaderWriterInterface<Payload, Payload>>> streams;
  for (int i = 1; i <= kBlocked; ++i) {
    contexts.push_back(std::make_unique<ClientContext>());
    streams.push_back(stub->Chat(contexts.back().get()));
    ASSERT_TRUE(streams.back()->Write(PayloadOf(10)));
    Await([&] { return inside == i; });
    for (int call = 0; call < 50; ++call) ASSERT_TRUE(Works(stub.get()));
    ASSERT_TRUE(Works(StubOn(CreateChannel(server.address())).get()));
  }
  go_on.Notify();
  for (const auto& stream : streams) EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(Conformance, ShutdownCancelsReactorsThatHang) {
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  constexpr int kCalls = 100;
  Scripted service;
  std::atomic<int> open{0}, cancelled{0}, done{0};
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_cancel = [&](ScriptedChat* self) {
      ++cancelled;
      self->End(absl::CancelledError(""));
    };
    chat->on_done = [&] { ++done; };
    ++open;
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  const Stub stub = StubOn(CreateChannel(server.address()));
  std::vector<std::unique_ptr<ClientContext>> contexts;
  std::vector<std::unique_ptr<ClientReaderWriterInterface<Payload, Payload>>> streams;
  for (int i = 0; i < kCalls; ++i) {
    contexts.push_back(std::make_unique<ClientContext>());
    streams.push_back(stub->Chat(contexts.back().get()));
  }
  Await([&] { return open == kCalls; });
  // Where little goes through at a time, the answers are out only once somebody reads them.
  std::thread finisher([&] {
    for (const auto& stream : streams) {
      const absl::Status status = stream->Finish();
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    }
  });
  server->Shutdown(absl::Now() + absl::Milliseconds(50));
  EXPECT_EQ(cancelled, kCalls);
  EXPECT_EQ(done, kCalls);
  finisher.join();
}

// A call that nobody finishes though its client is gone costs its memory, and no CPU time.
TEST_P(Conformance, AReactorThatOutlivesItsClientCostsNothing) {
  if (FaultInForce() == Fault::kDelays) GTEST_SKIP() << "the signals that delay threads wake them up";
  if (server_elsewhere()) GTEST_SKIP() << "the service is in this process";
  Scripted service;
  std::atomic<ScriptedChat*> open{nullptr};
  std::atomic<bool> cancelled{false}, done{false};
  service.chat = [&](CallbackServerContext*) {
    auto* const chat = new ScriptedChat;
    chat->on_cancel = [&](ScriptedChat*) { cancelled = true; };
    chat->on_done = [&] { done = true; };
    open = chat;
    return chat;
  };
  const ScriptedServer server(&service, AddressForServer());
  for (const absl::Duration timeout : {absl::InfiniteDuration(), absl::Milliseconds(500)}) {
    open = nullptr;
    cancelled = done = false;
    {
      const Stub stub = StubOn(CreateChannel(server.address()));
      ClientContext context;
      context.set_timeout(timeout);
      const auto stream = stub->Chat(&context);
      Await([&] { return open != nullptr; });
    }
    Await([&] { return cancelled.load(); });
    // As in IdleCostsNothing: threads that had work linger for seconds.
    Await([&] {
      const Activity before = Activity::Of(getpid());
      absl::SleepFor(absl::Seconds(1));  // what is measured is that nothing happens
      const Activity after = Activity::Of(getpid());
      return after.switches - before.switches <= 20 && after.cpu_ticks - before.cpu_ticks <= 2;
    });
    EXPECT_FALSE(done);
    open.load()->End(absl::OkStatus());
    Await([&] { return done.load(); });
  }
}

}  // namespace
}  // namespace nearcall::testing
