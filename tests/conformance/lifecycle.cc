// Servers and clients that come, go, and die.

#include <signal.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "tests/conformance/conformance.h"
#include "tests/testing/fault.h"
#include "tests/testing/process.h"

namespace nearcall::testing {
namespace {

TEST_P(Conformance, AServerThatIsNotThere) {
  const std::string address = AddressForNobody();
  const std::shared_ptr<Channel> channel = CreateChannel(address);
  const Stub stub = StubOn(channel);
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = stub->Echo(Payload()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), address)) << status;
    EXPECT_TRUE(SurelyNotSeen(status));
    ClientContext context;
    EXPECT_EQ(stub->Chat(&context)->Finish().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(channel->GetState(false), ConnectivityState::kTransientFailure);
  EXPECT_FALSE(channel->WaitForConnected(absl::Now() + absl::Milliseconds(30)));
  EXPECT_EQ(channel->address(), address);
}

TEST_P(Conformance, AChannelTellsItsState) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  EXPECT_EQ(channel->GetState(false), ConnectivityState::kIdle);
  channel->GetState(true);
  EXPECT_TRUE(channel->WaitForConnected(absl::InfiniteFuture()));
  EXPECT_EQ(channel->GetState(false), ConnectivityState::kReady);
  EndServer(server());
  Await([&] { return channel->GetState(false) != ConnectivityState::kReady; });
}

TEST_P(Conformance, ACallWaitsForItsServerIfItIsToldTo) {
  const std::string address = AddressForNobody();
  const Stub stub = StubOn(CreateChannel(address));
  std::atomic<bool> calling{false};
  std::thread caller([&] {
    ClientContext context;
    context.set_wait_for_ready(true);
    Payload response;
    calling = true;
    const absl::Status status = stub->Echo(&context, PayloadOf(5), &response);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.data(), PayloadOf(5).data());
  });
  Await([&] { return calling.load(); });
  StartServerOn(address);
  caller.join();
}

TEST_P(Conformance, AChannelOutlivesItsServer) {
  TestServer* server = StartServer();
  const std::string address = server->addresses().front();
  const std::shared_ptr<Channel> channel = CreateChannel(address);
  const Stub stub = StubOn(channel);
  ExpectServes(stub.get());
  for (int i = 0; i < 5; ++i) {
    EndServer(server);
    if (i % 2 == 0) {
      const absl::Status status = stub->Echo(Payload()).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    }
    server = StartServerOn(address);
    // Not every mechanism can tell that a call on the old connection was not seen.
    Await([&] {
      CallOptions wait;
      wait.wait_for_ready = true;
      const absl::StatusOr<Payload> reply = stub->Echo(PayloadOf(3, i), wait);
      EXPECT_TRUE(reply.ok() || absl::IsUnavailable(reply.status())) << reply.status();
      return reply.ok();
    });
  }
}

TEST_P(Conformance, ShutdownLetsCallsFinish) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Payload message;
  ASSERT_TRUE(stream->Write(PayloadOf(1)));
  ASSERT_TRUE(stream->Read(&message));
  std::atomic<bool> over{false};
  std::thread shutdown([&] {
    server()->Shutdown();
    over = true;
  });
  // New calls are refused from some moment on, on the old connection and on new ones.
  for (const bool fresh : {false, true}) {
    Await([&] {
      const absl::Status status = (fresh ? Connect()->Echo(Payload()) : stub->Echo(Payload())).status();
      if (!mechanism().clean_restarts && absl::IsCancelled(status)) return false;
      EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kUnavailable) << status;
      if (mechanism().clean_restarts) {
        EXPECT_TRUE(status.ok() || SurelyNotSeen(status)) << status;
      }
      return !status.ok();
    });
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(stream->Write(PayloadOf(100'000, i)));
    ASSERT_TRUE(stream->Read(&message));
    ASSERT_EQ(message.number(), i);
  }
  EXPECT_FALSE(over);
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&message));
  const absl::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status;
  shutdown.join();
}

TEST_P(Conformance, ServersRestartUnderLoad) {
  TestServer* server = StartServer();
  const Stub stub = Connect();
  std::vector<std::thread> callers;
  std::atomic<bool> over{false};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      while (!over) {
        const absl::Status status = stub->Echo(PayloadOf(1000)).status();
        const bool cut_off = absl::IsUnavailable(status) || (!mechanism().clean_restarts && absl::IsCancelled(status));
        EXPECT_TRUE(status.ok() || cut_off) << status;
      }
    });
  }
  const std::string address = server->addresses().front();
  for (int i = 0; i < 5; ++i) {
    CallOptions wait;
    wait.wait_for_ready = true;
    Await([&] { return stub->Echo(Payload(), wait).ok(); });
    EndServer(server);
    server = StartServerOn(address);
  }
  over = true;
  for (std::thread& caller : callers) caller.join();
}

TEST_P(Conformance, ShutdownWithADeadlineCancelsWhatIsLeft) {
  StartServer();
  const Stub stub = Connect();
  std::thread blocked([&] {
    const absl::Status status = stub->Block(Gate("gate")).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  });
  std::atomic<bool> under_way{false};
  std::thread streaming([&] {
    ClientContext context;
    const auto stream = stub->Chat(&context);
    Payload message;
    stream->Write(PayloadOf(1));
    EXPECT_TRUE(stream->Read(&message));
    under_way = true;
    EXPECT_FALSE(stream->Read(&message));
    const absl::Status status = stream->Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
  });
  AwaitAtGate(stub.get(), "gate", 1);
  Await([&] { return under_way.load(); });
  server()->Shutdown(absl::Milliseconds(300));
  blocked.join();
  streaming.join();
  server()->Shutdown();  // a second time does nothing
}

TEST_P(Conformance, ShutdownAtOnceCancelsWhatIsLeft) {
  StartServer();
  const Stub stub = Connect();
  std::vector<std::thread> blocked;
  for (int i = 0; i < 10; ++i) {
    blocked.emplace_back([&] {
      const absl::Status status = stub->Block(Gate("gate")).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    });
  }
  AwaitAtGate(stub.get(), "gate", 10);
  server()->Shutdown(absl::ZeroDuration());
  for (std::thread& thread : blocked) thread.join();
}

TEST_P(Conformance, AServerGoesWithIdleClientsConnected) {
  TestServer* const server = StartServer();
  std::vector<Stub> stubs;
  for (int i = 0; i < 10; ++i) {
    stubs.push_back(Connect());
    ExpectServes(stubs.back().get());
  }
  EndServer(server);
  for (const Stub& stub : stubs) {
    const absl::Status status = stub->Echo(Payload()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  }
}

// Nobody looks at an idle connection: the next call finds out that it has ended, and is made on a new one.
TEST_P(Conformance, AnIdleChannelFindsTheNextServer) {
  if (!mechanism().clean_restarts) GTEST_SKIP() << "the transport may lose a call to a server that has ended";
  if (FaultInForce() == Fault::kOneByte || FaultInForce() == Fault::kFewBytes) {
    GTEST_SKIP() << "a look reads too little to find out";
  }
  TestServer* server = StartServer();
  const std::string address = server->addresses().front();
  const Stub stub = StubOn(CreateChannel(address));
  for (const bool streaming : {false, true}) {
    ExpectServes(stub.get());
    EndServer(server);
    server = StartServerOn(address);
    absl::SleepFor(absl::Milliseconds(2));  // idle is what was not used for one
    if (streaming) {
      ClientContext context;
      const auto stream = stub->Chat(&context);
      Payload message;
      EXPECT_TRUE(stream->Write(PayloadOf(10)));
      EXPECT_TRUE(stream->Read(&message));
      EXPECT_TRUE(stream->WritesDone());
      const absl::Status status = stream->Finish();
      EXPECT_TRUE(status.ok()) << status;
    } else {
      const absl::Status status = stub->Echo(PayloadOf(10)).status();
      EXPECT_TRUE(status.ok()) << status;
    }
  }
}

TEST_P(Conformance, AServerThatNobodyCalledGoes) {
  for (int i = 0; i < 5; ++i) EndServer(StartServer());
}

TEST_P(Conformance, AServerIsKilledInTheMiddleOfCalls) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  TestServer* const server = StartServer();
  const std::string address = server->addresses().front();
  const Stub stub = Connect();
  std::vector<std::thread> callers;
  for (int i = 0; i < 5; ++i) {
    callers.emplace_back([&] {
      const absl::Status status = stub->Block(Gate("gate")).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
      EXPECT_FALSE(SurelyNotSeen(status)) << status;
    });
  }
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Payload message;
  ASSERT_TRUE(stream->Write(PayloadOf(1)));
  ASSERT_TRUE(stream->Read(&message));
  AwaitAtGate(stub.get(), "gate", 5);
  KillServer(server);
  for (std::thread& caller : callers) caller.join();
  EXPECT_FALSE(stream->Read(&message));
  const absl::Status status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  // What it left behind stands in nobody's way.
  StartServerOn(address);
  CallOptions wait;
  wait.wait_for_ready = true;
  Await([&] { return stub->Echo(Payload(), wait).ok(); });
}

// What lies in the ring of a server that has died can be told from what it has taken.
TEST_P(Conformance, ACallThatNoServerHasReadIsSurelyNotSeen) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  if (mechanism().carries != "shm") GTEST_SKIP() << "of a socket nobody can tell what was read";
  TestServer* const server = StartServer();
  const Stub stub = Connect();
  ExpectServes(stub.get());
  kill(server->pid(), SIGSTOP);
  AwaitStopped(server->pid());
  ClientContext context;
  const auto stream = stub->Chat(&context);
  EXPECT_TRUE(stream->Write(PayloadOf(1)));
  KillServer(server);
  const absl::Status status = stream->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_TRUE(SurelyNotSeen(status)) << status;
}

TEST_P(Conformance, AServerIsKilledUnderLoad) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  TestServer* server = StartServer();
  const std::string address = server->addresses().front();
  const Stub stub = Connect();
  std::atomic<bool> over{false};
  std::atomic<int64_t> answered{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      for (int64_t i = 0; !over; ++i) {
        const absl::StatusOr<Payload> reply = stub->Echo(PayloadOf(i % 5 == 0 ? 100'000 : 100, i * 4 + t));
        if (reply.ok()) {
          ++answered;
          EXPECT_EQ(reply->number(), i * 4 + t);
        } else {
          EXPECT_EQ(reply.status().code(), absl::StatusCode::kUnavailable) << reply.status();
        }
      }
    });
  }
  for (int i = 0; i < 5; ++i) {
    const int64_t before = answered;
    Await([&] { return answered >= before + 50; });
    KillServer(server);
    server = StartServerOn(address);
  }
  const int64_t before = answered;
  Await([&] { return answered >= before + 50; });
  over = true;
  for (std::thread& caller : callers) caller.join();
}

TEST_P(Conformance, AClientIsKilledInTheMiddleOfACall) {
  if (!mechanism().between_processes) GTEST_SKIP() << "the transport does not leave the process";
  StartServer();
  const Stub stub = Connect();
  for (int64_t i = 1; i <= 3; ++i) {
    const std::unique_ptr<Process> client = Process::Start("blocker", {address(), "gate"});
    AwaitAtGate(stub.get(), "gate", i);
    client->Signal(SIGKILL);
    AwaitCancelled(stub.get(), "gate", i);
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, AClientStopsForAWhile) {
  if (!mechanism().between_processes) GTEST_SKIP() << "the transport does not leave the process";
  StartServer();
  const Stub stub = Connect();
  const std::unique_ptr<Process> client = Process::Start("blocker", {address(), "gate"});
  AwaitAtGate(stub.get(), "gate", 1);
  client->Signal(SIGSTOP);
  AwaitStopped(client->pid());
  for (int i = 0; i < 100; ++i) ExpectServes(stub.get());
  OpenGate(stub.get(), "gate");
  for (int i = 0; i < 100; ++i) ExpectServes(stub.get());
  client->Signal(SIGCONT);
  EXPECT_EQ(client->Hear(), "OK");
}

TEST_P(Conformance, AServerStopsForAWhile) {
  if (!server_elsewhere()) GTEST_SKIP() << "the server is in this process";
  StartServer();
  const Stub stub = Connect();
  ExpectServes(stub.get());
  kill(server()->pid(), SIGSTOP);
  AwaitStopped(server()->pid());
  for (const size_t size : {10u, 1'000'000u}) {
    ClientContext context;
    context.set_timeout(absl::Milliseconds(100));
    Payload response;
    const absl::Status status = stub->Echo(&context, PayloadOf(size), &response);
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  }
  kill(server()->pid(), SIGCONT);
  for (int i = 0; i < 100; ++i) ExpectServes(stub.get());
}

}  // namespace
}  // namespace nearcall::testing
