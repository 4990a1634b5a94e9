// Too little of everything, and too many at once: no descriptors left at accept, a thousand clients, forked children,
// a signal to end.

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/testing/process.h"
#include "tests/testing/resources.h"
#include "tests/testing/roles.h"
#include "tests/testing/sanitizer.h"
#include "tests/testing/services.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

// Tells what it has open, and nothing else.
int ListDescriptors(const std::vector<std::string>&, Parent* parent) {
  parent->Tell(absl::StrCat(Resources::Of(getpid()).fds.size()));
  return 0;
}
const RoleRegistration lister("fd_lister", &ListDescriptors);

// Serves until SIGTERM, after which calls have MILLISECONDS: ADDRESS MILLISECONDS. Tells "ready", and "stopped".
int ServeUntilSigterm(const std::vector<std::string>& arguments, Parent* parent) {
  const auto services = MakeServices(Form::kBlocking);
  ServerBuilder builder;
  for (const auto& service : services) builder.RegisterService(service.get());
  builder.AddListeningPort(arguments.at(0));
  const auto server = builder.BuildAndStart();
  if (!server.ok()) return 1;
  if (!(*server)->ShutdownOnSignals({SIGTERM}, absl::Milliseconds(atoi(arguments.at(1).c_str()))).ok()) return 1;
  parent->Tell("ready " + (*server)->addresses().front());
  (*server)->Wait();
  parent->Tell("stopped");
  return 0;
}
const RoleRegistration sigterm_server("sigterm_server", &ServeUntilSigterm);

class Scarcity : public TransportTest, public ::testing::WithParamInterface<const char*> {
 protected:
  Scarcity() : TransportTest({MechanismNamed(GetParam()), Where::kOwnProcess}) {}
  using Stub = std::unique_ptr<TestService::StubInterface>;
  Stub Connect() { return TestService::NewStub(CreateChannel(address())); }
};

TEST_P(Scarcity, AServerWithoutDescriptorsShedsAndRecovers) {
  const pid_t pid = StartServer()->pid();
  const Stub old = Connect();
  ASSERT_TRUE(old->Echo(Payload()).ok());
  rlimit before;
  const auto descriptors = static_cast<rlim_t>(Resources::Of(pid).fds.size());
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit low{descriptors + 12, before.rlim_max};
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, &low, nullptr), 0);
  std::vector<Stub> stubs;
  int refused = 0;
  for (int i = 0; i < 40; ++i) {
    stubs.push_back(Connect());
    const absl::Status status = stubs.back()->Echo(Payload()).status();
    if (status.ok()) continue;
    ++refused;
    EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) << status;
    EXPECT_TRUE(old->Echo(Payload()).ok()) << "others are held up";
  }
  EXPECT_GT(refused, 10);
  // Nothing keeps it busy now.
  const Activity then = Activity::Of(pid);
  absl::SleepFor(absl::Milliseconds(300));
  const Activity now = Activity::Of(pid);
  EXPECT_LT(now.switches - then.switches, 100);
  EXPECT_LT(now.cpu_ticks - then.cpu_ticks, 15);
  ASSERT_EQ(prlimit(pid, RLIMIT_NOFILE, &before, nullptr), 0);
  for (const Stub& stub : stubs) {
    CallOptions wait;
    wait.wait_for_ready = true;
    EXPECT_TRUE(stub->Echo(Payload(), wait).ok());
  }
  printf("%s: %d of 40 clients were refused, then all were served\n", GetParam(), refused);
}

TEST_P(Scarcity, AThousandClientsAtOnce) {
  constexpr int kThreads = 50, kEach = 20;
  const pid_t pid = StartServer()->pid();
  const size_t before = Resources::Of(pid).fds.size();
  std::vector<Stub> stubs(kThreads * kEach);
  std::atomic<int> connected{0}, served{0}, exhausted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      CallOptions wait;
      wait.wait_for_ready = true;
      const auto call = [&](int i) {
        Payload request;
        request.set_number(i);
        const absl::StatusOr<Payload> reply = stubs[static_cast<size_t>(i)]->Echo(request, wait);
        if (reply.ok()) {
          EXPECT_EQ(reply->number(), i);
          ++served;
        } else {
          EXPECT_TRUE(absl::IsResourceExhausted(reply.status())) << reply.status();
          ++exhausted;
        }
      };
      for (int i = t * kEach; i < (t + 1) * kEach; ++i) {
        stubs[static_cast<size_t>(i)] = Connect();
        call(i);
      }
      ++connected;
      Await([&] { return connected == kThreads; });
      for (int i = t * kEach; i < (t + 1) * kEach; ++i) call(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (exhausted == 0) {
    EXPECT_GE(Resources::Of(pid).fds.size(), before + stubs.size());
  }
  EXPECT_GT(served, 0);
  printf("%s: 1000 clients; %d calls served, %d RESOURCE_EXHAUSTED\n", GetParam(), served.load(), exhausted.load());
}

TEST_P(Scarcity, AForkedChildLeavesItsParentsChannelAlone) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const auto stub = TestService::NewStub(channel);
  ASSERT_TRUE(stub->Echo(Payload()).ok());
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Payload message;
  ASSERT_TRUE(stream->Write(message) && stream->Read(&message));
  for (int i = 0; i < 3; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      bool refused = stub->Echo(Payload()).status().code() == absl::StatusCode::kFailedPrecondition;
      ClientContext own;
      refused = refused && stub->Chat(&own)->Finish().code() == absl::StatusCode::kFailedPrecondition;
      refused = refused && channel->GetState(true) == ConnectivityState::kShutdown;
      // A channel of its own works.
      const bool works = TestService::NewStub(CreateChannel(address()))->Echo(Payload()).ok();
      _exit(refused && works ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(stub->Echo(Payload()).ok());
    EXPECT_TRUE(stream->Write(message) && stream->Read(&message)) << "the parent's stream goes on";
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(Scarcity, ExecLeaksNoDescriptor) {
  const auto count = [] { return Process::Start("fd_lister", {})->Hear(); };
  const std::string before = count();
  StartServer();
  const auto server = TestServer::Start(Where::kThisProcess, {AddressForServer()}, ServerOptions());
  ASSERT_TRUE(server.ok());
  const Stub stub = Connect();
  const Stub own = TestService::NewStub(CreateChannel((*server)->addresses().front()));
  ASSERT_TRUE(stub->Echo(Payload()).ok() && own->Echo(Payload()).ok());
  EXPECT_EQ(count(), before);
}

TEST_P(Scarcity, SigtermDrainsThenCancels) {
  if (NEARCALL_HOLDS_SIGNALS_BACK) GTEST_SKIP() << "the server waits in abseil, where the sanitizer holds its signal back";
  const auto server = Process::Start("sigterm_server", {AddressForServer(), "300"});
  const std::string address = server->Hear().substr(6);
  const auto stub = TestService::NewStub(CreateChannel(address));
  const auto block = [&](const std::string& gate) {
    GateRequest request;
    request.set_gate(gate);
    return stub->Block(request).status();
  };
  absl::Status never, in_time;
  std::thread blocked([&] { never = block("never"); });
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Payload message;
  ASSERT_TRUE(stream->Write(message) && stream->Read(&message));
  GateRequest look;
  look.set_gate("never");
  Await([&] { return stub->Look(look)->entered() == 1; });
  server->Signal(SIGTERM);
  Await([&] { return !stub->Echo(Payload()).ok(); });  // no new calls
  EXPECT_TRUE(stream->Write(message) && stream->Read(&message)) << "it drains";
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
  blocked.join();
  EXPECT_EQ(never.code(), absl::StatusCode::kCancelled) << never;
  EXPECT_EQ(server->Hear(), "stopped");
  EXPECT_EQ(server->Wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Scarcity, ::testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace nearcall::testing
