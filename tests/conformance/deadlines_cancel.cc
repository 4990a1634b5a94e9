// Calls that end before their answer comes.

#include <signal.h>

#include <atomic>
#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

absl::Status Block(TestService::StubInterface* stub, ClientContext* context, const std::string& gate) {
  GateRequest request;
  request.set_gate(gate);
  GateState state;
  return stub->Block(context, request, &state);
}

TEST_P(Conformance, ADeadlineThatHasPassedFailsTheCallUnseen) {
  StartServer();
  const Stub stub = Connect();
  for (const bool connected : {false, true}) {
    if (connected) ExpectServes(stub.get());
    for (const absl::Time deadline : {absl::Now() - absl::Hours(1), absl::InfinitePast(), absl::Now()}) {
      ClientContext context;
      context.set_deadline(deadline);
      const absl::Status status = Block(stub.get(), &context, "never");
      EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    }
    ClientContext context;
    context.set_timeout(absl::Seconds(-1));
    EXPECT_EQ(Block(stub.get(), &context, "never").code(), absl::StatusCode::kDeadlineExceeded);
  }
  EXPECT_EQ(Look(stub.get(), "never").entered(), 0);
}

TEST_P(Conformance, ADeadlineEndsTheCallAndTellsTheHandler) {
  StartServer();
  const Stub stub = Connect();
  const Stub other = Connect();
  ClientContext context;
  context.set_timeout(absl::Milliseconds(30));
  const absl::Status status = Block(stub.get(), &context, "gate");
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  // The handler may not even have begun by then; if it has, it goes on as cancelled.
  Await([&] {
    const GateState state = Look(other.get(), "gate");
    return state.entered() == state.cancelled();
  });
  ExpectServes(stub.get());
}

TEST_P(Conformance, TheHandlerKnowsTheDeadline) {
  StartServer();
  const Stub stub = Connect();
  EXPECT_FALSE(stub->Inspect(InspectRequest())->has_deadline());
  for (const absl::Duration timeout : {absl::Seconds(20), absl::Hours(10'000), absl::Hours(24 * 365 * 1000)}) {
    ClientContext context;
    context.set_timeout(timeout);
    CallInfo info;
    ASSERT_TRUE(stub->Inspect(&context, InspectRequest(), &info).ok());
    if (timeout < absl::Hours(20'000)) {
      EXPECT_TRUE(info.has_deadline());
    }
    if (info.has_deadline()) {
      EXPECT_LE(absl::Nanoseconds(info.remaining_ns()),
                timeout + (mechanism().exact_deadlines ? absl::Seconds(1) : timeout / 100));
      EXPECT_GT(info.remaining_ns(), 0);
    }
  }
}

TEST_P(Conformance, ADeadlineCoversTheWaitForAServer) {
  const Stub stub = StubOn(CreateChannel(AddressForNobody()));
  ClientContext context;
  context.set_timeout(absl::Milliseconds(50));
  context.set_wait_for_ready(true);
  Payload response;
  const absl::Status status = stub->Echo(&context, Payload(), &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
}

// Answers that come just before, at, and just after the deadline: each call ends one way, and no answer meets another
// call.
TEST_P(Conformance, DeadlinesRaceWithAnswers) {
  StartServer();
  const Stub stub = Connect();
  ExpectServes(stub.get());
  int answered = 0;
  for (int i = 0; i < 1000; ++i) {
    ClientContext context;
    context.set_timeout(absl::Microseconds(i % 200));
    Payload response;
    const absl::Status status = stub->Echo(&context, PayloadOf(i % 7 == 0 ? 100'000 : 10, i), &response);
    if (status.ok()) {
      ++answered;
      ASSERT_EQ(response.number(), i);
    } else {
      ASSERT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
    }
  }
  RecordProperty("answered", answered);
  ExpectServes(stub.get());
}

TEST_P(Conformance, CancelEndsACallThatWaits) {
  StartServer();
  const Stub stub = Connect();
  const Stub other = Connect();
  for (int i = 1; i <= 3; ++i) {
    ClientContext context;
    std::thread canceller([&] {
      AwaitAtGate(other.get(), "gate", i);
      context.TryCancel();
    });
    const absl::Status status = Block(stub.get(), &context, "gate");
    canceller.join();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    AwaitCancelled(other.get(), "gate", i);
  }
  ExpectServes(stub.get());
}

// A caller that gives up leaves nobody behind who polls; its cancellation arrives all the same, even behind a message
// that the carrier has no room for.
TEST_P(Conformance, CancelArrivesThoughTheCarrierIsFull) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  if (!mechanism().exact_windows && GetParam().stub == Form::kBlocking) {
    GTEST_SKIP()
        << "gRPC keeps a cancelled write until its connection's bytes are out, if its flow control lets that many go";
  }
  ServerOptions options;
  options.max_receive_message_bytes = -1;
  StartServer(options);
  const Stub stub = Connect();
  ClientContext context;
  Payload response;
  const auto writer = stub->BlockUp(&context, &response);
  Payload gate;
  gate.set_data("gate");
  ASSERT_TRUE(writer->Write(gate));
  AwaitAtGate(Connect().get(), "gate", 1);
  const Payload large = PayloadOf(32u << 20);
  kill(server()->pid(), SIGSTOP);
  AwaitStopped(server()->pid());
  std::thread canceller([&] {
    absl::SleepFor(absl::Milliseconds(20));  // to find the write in its wait, mostly
    context.TryCancel();
  });
  // A reactor's write is done once it is taken, though it is not out yet.
  const bool written = writer->Write(large);
  EXPECT_TRUE(!written || GetParam().stub == Form::kReactors);
  canceller.join();
  EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kCancelled);
  kill(server()->pid(), SIGCONT);
  AwaitCancelled(Connect().get(), "gate", 1);
}

TEST_P(Conformance, CancelBeforeTheCallEndsItUnseen) {
  StartServer();
  const Stub stub = Connect();
  for (const bool connected : {false, true}) {
    if (connected) ExpectServes(stub.get());
    ClientContext context;
    context.TryCancel();
    EXPECT_EQ(Block(stub.get(), &context, "never").code(), absl::StatusCode::kCancelled);
  }
  EXPECT_EQ(Look(stub.get(), "never").entered(), 0);
}

TEST_P(Conformance, CancelAfterTheCallDoesNothing) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  Payload response;
  ASSERT_TRUE(stub->Echo(&context, Payload(), &response).ok());
  context.TryCancel();
  context.TryCancel();
  ExpectServes(stub.get());
}

TEST_P(Conformance, CancelEndsTheWaitForAServer) {
  const Stub stub = StubOn(CreateChannel(AddressForNobody()));
  for (const bool stream : {false, true}) {
    ClientContext context;
    context.set_wait_for_ready(true);
    std::atomic<bool> calling{false};
    std::thread canceller([&] {
      Await([&] { return calling.load(); });
      absl::SleepFor(absl::Milliseconds(stream ? 0 : 20));  // to find the call in its wait, mostly
      context.TryCancel();
    });
    calling = true;
    if (stream) {
      EXPECT_EQ(stub->Chat(&context)->Finish().code(), absl::StatusCode::kCancelled);
    } else {
      Payload response;
      const absl::Status status = stub->Echo(&context, Payload(), &response);
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    }
    canceller.join();
  }
}

TEST_P(Conformance, CancelRacesWithAnswers) {
  StartServer();
  const Stub stub = Connect();
  ExpectServes(stub.get());
  std::atomic<ClientContext*> victim{nullptr};
  std::atomic<bool> over{false};
  std::thread canceller([&] {
    while (!over) {
      if (ClientContext* context = victim.exchange(nullptr)) {
        context->TryCancel();
        victim = reinterpret_cast<ClientContext*>(1);  // done with it
        Await([&] { return victim.load() != reinterpret_cast<ClientContext*>(1) || over; });
      }
    }
  });
  for (int i = 0; i < 1000; ++i) {
    ClientContext context;
    Payload response;
    victim = &context;
    const absl::Status status = stub->Echo(&context, PayloadOf(10, i), &response);
    if (status.ok()) {
      EXPECT_EQ(response.number(), i);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    }
    // The context may not go while the other thread has it.
    ClientContext* mine = &context;
    if (!victim.compare_exchange_strong(mine, nullptr)) {
      Await([&] { return victim.load() == reinterpret_cast<ClientContext*>(1); });
      victim = nullptr;
    }
  }
  over = true;
  canceller.join();
  ExpectServes(stub.get());
}

TEST_P(Conformance, ACancelledCallCancelsTheCallsMadeForIt) {
  TestServer* const outer = StartServer();
  TestServer* const inner = StartServer();
  const Stub to_outer = StubOn(CreateChannel(outer->addresses().front()));
  const Stub to_inner = StubOn(CreateChannel(inner->addresses().front()));
  if (mechanism().between_processes || !server_elsewhere()) {
    ClientContext context;
    NestRequest request;
    request.add_addresses(inner->addresses().front());
    request.set_gate("deep");
    std::thread canceller([&] {
      AwaitAtGate(to_inner.get(), "deep", 1);
      context.TryCancel();
    });
    NestReply reply;
    EXPECT_EQ(to_outer->Nest(&context, request, &reply).code(), absl::StatusCode::kCancelled);
    canceller.join();
    AwaitCancelled(to_inner.get(), "deep", 1);
  }
  EndServer(outer);  // it holds a channel to the other one
  EndServer(inner);
}

TEST_P(Conformance, ADeadlineHoldsForTheCallsMadeForACall) {
  TestServer* const outer = StartServer();
  TestServer* const inner = StartServer();
  const Stub to_outer = StubOn(CreateChannel(outer->addresses().front()));
  const Stub to_inner = StubOn(CreateChannel(inner->addresses().front()));
  ClientContext context;
  context.set_timeout(absl::Milliseconds(100));
  NestRequest request;
  request.add_addresses(inner->addresses().front());
  request.set_gate("deep");
  NestReply reply;
  EXPECT_EQ(to_outer->Nest(&context, request, &reply).code(), absl::StatusCode::kDeadlineExceeded);
  Await([&] {
    const GateState state = Look(to_inner.get(), "deep");
    return state.entered() == state.cancelled();
  });
  EndServer(outer);
  EndServer(inner);
}

}  // namespace
}  // namespace nearcall::testing
