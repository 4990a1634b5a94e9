// Many calls at once.

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/conformance/conformance.h"
#include "tests/testing/fault.h"

namespace nearcall::testing {
namespace {

void RunThreads(int threads, const std::function<void(int)>& body) {
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) running.emplace_back(body, t);
  for (std::thread& thread : running) thread.join();
}

// Calls one after another; every answer must be the answer to its question.
void CallMany(TestService::StubInterface* stub, int thread, int calls, size_t max_size) {
  for (int i = 0; i < calls; ++i) {
    const int64_t number = thread * int64_t{1'000'000} + i;
    ClientContext context;
    Payload response;
    const Payload request = PayloadOf(static_cast<size_t>(number * 31) % (max_size + 1), number);
    const absl::Status status = stub->Echo(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(response.number(), number);
    ASSERT_TRUE(response.data() == request.data());
  }
}

TEST_P(Conformance, ThreadsShareAChannel) {
  StartServer();
  const Stub stub = Connect();
  RunThreads(8, [&](int thread) { CallMany(stub.get(), thread, Fewer(2000), 100); });
}

TEST_P(Conformance, ThreadsShareAChannelForLargeMessages) {
  StartServer();
  const Stub stub = Connect();
  RunThreads(6, [&](int thread) { CallMany(stub.get(), thread, 30, 500'000); });
}

TEST_P(Conformance, ClientsShareAServer) {
  StartServer();
  RunThreads(20, [&](int thread) {
    const Stub stub = Connect();
    CallMany(stub.get(), thread, Fewer(100), 3000);
  });
}

TEST_P(Conformance, ChannelsComeAndGo) {
  StartServer();
  RunThreads(4, [&](int thread) {
    for (int i = 0; i < 25; ++i) CallMany(Connect().get(), thread, 2, 100);
  });
}

TEST_P(Conformance, AHandlerThatBlocksHoldsUpNobody) {
  StartServer();
  const Stub stub = Connect();
  std::thread blocked([&] { EXPECT_TRUE(stub->Block(Gate("gate")).ok()); });
  AwaitAtGate(stub.get(), "gate", 1);  // on the very connection
  CallMany(stub.get(), 1, 500, 1000);
  RunThreads(3, [&](int thread) { CallMany(Connect().get(), thread, 100, 1000); });
  OpenGate(stub.get(), "gate");
  blocked.join();
}

TEST_P(Conformance, ManyHandlersBlockAtOnce) {
  constexpr int kCalls = 50;
  StartServer();
  const Stub stub = Connect();
  std::vector<std::thread> blocked;
  for (int i = 0; i < kCalls; ++i) {
    blocked.emplace_back([&] { EXPECT_TRUE(stub->Block(Gate("gate")).ok()); });
  }
  AwaitAtGate(stub.get(), "gate", kCalls);
  CallMany(stub.get(), 1, 100, 1000);
  OpenGate(stub.get(), "gate");
  for (std::thread& thread : blocked) thread.join();
  EXPECT_EQ(Look(stub.get(), "gate").left(), kCalls);
}

TEST_P(Conformance, AHandlerCallsAnotherServer) {
  TestServer* const outer = StartServer();
  TestServer* const inner = StartServer();
  const Stub stub = StubOn(CreateChannel(outer->addresses().front()));
  NestRequest request;
  request.add_addresses(inner->addresses().front());
  for (int i = 0; i < 50; ++i) {
    const absl::StatusOr<NestReply> reply = stub->Nest(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    ASSERT_EQ(reply->pids_size(), 2);
    EXPECT_EQ(reply->pids(0), inner->pid());
    EXPECT_EQ(reply->pids(1), outer->pid());
  }
  EndServer(outer);  // it holds a channel to the other one
  EndServer(inner);
}

TEST_P(Conformance, AHandlerCallsItsOwnServer) {
  TestServer* const server = StartServer();
  const Stub stub = Connect();
  for (const int depth : {1, 2, 5, 20}) {
    NestRequest request;
    for (int i = 0; i < depth; ++i) request.add_addresses(address());
    const absl::StatusOr<NestReply> reply = stub->Nest(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->pids_size(), depth + 1);
  }
  RunThreads(4, [&](int) {
    NestRequest request;
    for (int i = 0; i < 3; ++i) request.add_addresses(address());
    for (int i = 0; i < 20; ++i) {
      const absl::Status status = stub->Nest(request).status();
      ASSERT_TRUE(status.ok()) << status;
    }
  });
  EndServer(server);  // it holds a channel to itself
}

TEST_P(Conformance, TwoServersCallEachOther) {
  TestServer* const one = StartServer();
  TestServer* const two = StartServer();
  RunThreads(4, [&](int thread) {
    const std::string first = (thread % 2 == 0 ? one : two)->addresses().front();
    const std::string second = (thread % 2 == 0 ? two : one)->addresses().front();
    const Stub stub = StubOn(CreateChannel(first));
    NestRequest request;
    for (int i = 0; i < 4; ++i) request.add_addresses(i % 2 == 0 ? second : first);
    for (int i = 0; i < 20; ++i) {
      const absl::StatusOr<NestReply> reply = stub->Nest(request);
      ASSERT_TRUE(reply.ok()) << reply.status();
      ASSERT_EQ(reply->pids_size(), 5);
    }
  });
  EndServer(one);  // they hold channels to each other
  EndServer(two);
}

// The role of poller returns to a handler that has waited for a message, and goes on from there.
TEST_P(Conformance, AHandlerMayBlockAfterItHasWaitedForLong) {
  StartServer();
  const Stub stub = Connect();
  for (int i = 0; i < 3; ++i) {
    const std::string gate = absl::StrCat("gate", i);
    ClientContext context;
    Payload response;
    const auto writer = stub->BlockUp(&context, &response);
    absl::SleepFor(absl::Milliseconds(20));  // so that the server's other threads have gone to sleep, mostly
    Payload first;
    first.set_data(gate);
    ASSERT_TRUE(writer->Write(first));
    AwaitAtGate(stub.get(), gate, 1);
    for (int call = 0; call < 20; ++call) ExpectServes(stub.get());
    OpenGate(stub.get(), gate);
    writer->WritesDone();
    EXPECT_TRUE(writer->Finish().ok());
  }
}

// Handlers that block come one by one, each after everything has gone to sleep.
TEST_P(Conformance, AHandlerMayBlockAfterAPause) {
  StartServer();
  const Stub stub = Connect();
  for (int i = 0; i < 10; ++i) {
    ExpectServes(stub.get());
    absl::SleepFor(absl::Milliseconds(5 + i));
    std::thread blocked([&] { EXPECT_TRUE(stub->Block(Gate(absl::StrCat("gate", i))).ok()); });
    AwaitAtGate(stub.get(), absl::StrCat("gate", i), 1);
    OpenGate(stub.get(), absl::StrCat("gate", i));
    blocked.join();
  }
}

// Nobody spins and no timer ticks when there is nothing to do.
TEST_P(Conformance, IdleCostsNothing) {
  if (FaultInForce() == Fault::kDelays) GTEST_SKIP() << "the signals that delay threads wake them up";
  StartServer();
  std::vector<Stub> stubs;
  for (int i = 0; i < 3; ++i) {
    stubs.push_back(Connect());
    for (int call = 0; call < 100; ++call) ExpectServes(stubs.back().get());
  }
  std::thread blocked([&] { EXPECT_TRUE(stubs[0]->Block(Gate("gate")).ok()); });
  AwaitAtGate(stubs[1].get(), "gate", 1);
  OpenGate(stubs[1].get(), "gate");
  blocked.join();
  // Threads that had work linger for seconds before they go; each goes once. The watchdog says no if this never ends.
  Await([&] {
    const Activity before = Activity::Of(server()->pid());
    absl::SleepFor(absl::Seconds(1));  // what is measured is that nothing happens
    const Activity after = Activity::Of(server()->pid());
    // In this process the watcher itself is seen, too.
    const long slack = server_elsewhere() ? 0 : 20;
    return after.switches - before.switches <= slack && after.cpu_ticks - before.cpu_ticks <= 2;
  });
  for (const Stub& stub : stubs) ExpectServes(stub.get());
}

}  // namespace
}  // namespace nearcall::testing
