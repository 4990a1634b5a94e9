// Whatever the kernel refuses: every call ends, with OK or a status that says what is wrong, no process ends, and what
// comes afterwards works. The N-th system call fails, for every N in the life of a connection, on each side; and memory
// for the ring is not to be had at all.
//
// Not here: allocations. Protobuf and abseil end the process when there is no memory, and so does the framework where
// it allocates what a call needs. What it asks the kernel for by itself is checked: segments, pipes, sockets, threads.

#include "tests/death/failures.h"

#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/testing/attached.h"
#include "tests/testing/process.h"
#include "tests/testing/resources.h"
#include "tests/testing/roles.h"
#include "tests/testing/services.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

// Serves at ADDRESS, with every call of FUNCTION failing; told "fail N" has its N-th system call from then on fail, and
// tells "ok"; told "failed" tells which one did, or "-".
int ServeWithFailures(const std::vector<std::string>& arguments, Parent* parent) {
  if (arguments.size() > 1) FailEvery(arguments[1]);
  const auto services = MakeServices(Form::kBlocking);
  ServerBuilder builder;
  for (const auto& service : services) builder.RegisterService(service.get());
  builder.AddListeningPort(arguments.at(0));
  auto server = builder.BuildAndStart();
  if (!server.ok()) {
    parent->Tell(server.status().ToString());
    return 1;
  }
  parent->Tell(absl::StrCat("ready ", (*server)->addresses().front()));
  for (;;) {
    const std::string order = parent->Hear();
    if (order.empty()) return 0;
    if (order == "failed") {
      const std::string failed = FailedSystemCall();
      FailNthSystemCall(0);
      parent->Tell(failed.empty() ? "-" : failed);
      continue;
    }
    FailNthSystemCall(atoi(order.c_str() + 5));
    parent->Tell("ok");
  }
}
const RoleRegistration role("failing_server", &ServeWithFailures);

class Failures : public TransportTest, public ::testing::WithParamInterface<const char*> {
 protected:
  Failures() : Failures(GetParam()) {}
  explicit Failures(const char* mechanism) : TransportTest({MechanismNamed(mechanism), Where::kOwnProcess}) {}
  ~Failures() override {
    FailNthSystemCall(0);
    FailEvery("");
  }

  std::unique_ptr<Process> Serve(const std::string& failing = "") {
    std::vector<std::string> arguments = {AddressForServer()};
    if (!failing.empty()) arguments.push_back(failing);
    auto process = Process::Start("failing_server", arguments);
    const std::string ready = process->Hear();
    EXPECT_EQ(ready.substr(0, 6), "ready ") << ready;
    address_ = ready.substr(6);
    return process;
  }
  // A unary call, one with attachments, a stream, and a message in fragments.
  absl::Status CallAll(const std::shared_ptr<Channel>& channel) {
    const auto stub = TestService::NewStub(channel);
    for (const size_t size : {100u, 300'000u}) {
      Payload request;
      request.set_data(std::string(size, 'x'));
      const absl::StatusOr<Payload> reply = stub->Echo(request);
      if (!reply.ok()) return reply.status();
      EXPECT_EQ(reply->data(), request.data());
    }
    if (absl::Status status = CallWithAttachments(channel.get(), stub.get()); !status.ok()) return status;
    ClientContext context;
    const auto stream = stub->Chat(&context);
    Payload message;
    if (stream->Write(message) && stream->Read(&message)) stream->WritesDone();
    return stream->Finish();
  }
  // Buffers each way, and a descriptor each way where the transport passes them.
  absl::Status CallWithAttachments(Channel* channel, TestService::Stub* stub) {
    const absl::StatusOr<Buffer> buffer = channel->AllocateBuffer(10'000);
    if (!buffer.ok()) return buffer.status();
    FillWithPattern(*buffer);
    ClientContext context;
    context.Attach(*buffer);
    AttachRequest request;
    request.add_sizes(5'000);
    if (mechanism().passes_fds) {
      context.AttachFd(STDERR_FILENO);
      request.set_files(1);
    }
    AttachReply reply;
    if (absl::Status status = stub->Attach(&context, request, &reply); !status.ok()) return status;
    EXPECT_TRUE(reply.buffers_size() == 1 && reply.buffers(0).pattern());
    EXPECT_TRUE(context.attachments().size() == 1 && HasPattern(context.attachments()[0]));
    EXPECT_EQ(context.attached_fd_count(), mechanism().passes_fds ? 1u : 0u);
    return absl::OkStatus();
  }
  void ExpectClear(const absl::Status& status) {
    if (status.ok()) return;
    EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsResourceExhausted(status) || absl::IsInternal(status)) << status;
    EXPECT_FALSE(status.message().empty());
  }
  void ExpectServes(const std::shared_ptr<Channel>& channel) {
    CallOptions wait;
    wait.wait_for_ready = true;
    // The calls that a failure was about may come to their end only now.
    Await([&] { return TestService::NewStub(channel)->Echo(Payload(), wait).ok(); });
  }
  void Report(const char* side, int calls, const std::map<std::string, int>& failed) {
    std::string text;
    for (const auto& [what, count] : failed) absl::StrAppend(&text, " ", what, " x", count, ";");
    printf("%s, %s: %d system calls failed one by one:%s\n", GetParam(), side, calls, text.c_str());
  }

  std::string address_;
};

TEST_P(Failures, TheClientsNthSystemCallFails) {
  const auto server = Serve();
  std::map<std::string, int> failed;
  int n = 0;
  for (std::string last = "first"; !last.empty() && !HasFailure();) {
    ++n;
    Watchdog::Watch(absl::StrCat("the client's system call ", n));
    FailNthSystemCall(n);
    const std::shared_ptr<Channel> channel = CreateChannel(address_);
    const absl::Status status = CallAll(channel);
    last = FailedSystemCall();
    FailNthSystemCall(0);
    SCOPED_TRACE(absl::StrCat(n, ": ", last));
    ExpectClear(status);
    if (last.empty()) {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      ++failed[last];
    }
    ExpectServes(channel);
  }
  EXPECT_GT(n, 10);
  Report("client", n - 1, failed);
}

TEST_P(Failures, TheServersNthSystemCallFails) {
  const auto server = Serve();
  std::map<std::string, int> failed;
  int n = 0;
  for (std::string last = "first"; last != "-" && !HasFailure();) {
    ++n;
    Watchdog::Watch(absl::StrCat("the server's system call ", n));
    server->Tell(absl::StrCat("fail ", n));
    ASSERT_EQ(server->Hear(), "ok");
    const std::shared_ptr<Channel> channel = CreateChannel(address_);
    const absl::Status status = CallAll(channel);
    server->Tell("failed");
    last = server->Hear();
    SCOPED_TRACE(absl::StrCat(n, ": ", last));
    ASSERT_FALSE(last.empty()) << "the server has ended";
    ExpectClear(status);
    if (last == "-") {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      ++failed[last];
    }
    ExpectServes(channel);
    ExpectServes(CreateChannel(address_));
  }
  EXPECT_GT(n, 5);
  Report("server", n - 1, failed);
}

// A server starts, or says why not.
TEST_P(Failures, TheNthSystemCallOfAServersStartFails) {
  std::map<std::string, int> failed;
  int n = 0;
  for (std::string last = "first"; !last.empty() && !HasFailure();) {
    ++n;
    Watchdog::Watch(absl::StrCat("system call ", n, " of a server's start"));
    const auto services = MakeServices(Form::kBlocking);
    ServerBuilder builder;
    for (const auto& service : services) builder.RegisterService(service.get());
    builder.AddListeningPort(AddressForServer());
    FailNthSystemCall(n);
    const auto server = builder.BuildAndStart();
    last = FailedSystemCall();
    FailNthSystemCall(0);
    SCOPED_TRACE(absl::StrCat(n, ": ", last));
    if (!last.empty()) ++failed[last];
    if (!server.ok()) {
      EXPECT_FALSE(last.empty()) << server.status();
      EXPECT_NE(server.status().code(), absl::StatusCode::kUnknown) << server.status();
      continue;
    }
    ExpectServes(CreateChannel((*server)->addresses().front()));
  }
  EXPECT_GT(n, 3);
  Report("start", n - 1, failed);
}

INSTANTIATE_TEST_SUITE_P(All, Failures, ::testing::Values("shm", "local", "unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

// On either side: `local:` does without the ring, `shm:` says what is missing.
class NoMemoryForTheRing : public Failures {
 protected:
  NoMemoryForTheRing() : Failures("local") {}
};

TEST_P(NoMemoryForTheRing, LocalRunsOnTheSocketAndShmSaysSo) {
  for (const std::string side : {"client", "server"}) {
    SCOPED_TRACE(side);
    const auto server = Serve(side == "server" ? GetParam() : "");
    if (side == "client") FailEvery(GetParam());
    const auto stub = TestService::NewStub(CreateChannel(address_));
    const absl::StatusOr<CallInfo> info = stub->Inspect(InspectRequest());
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->transport(), "unix");
    const std::string shm = absl::StrCat("shm", address_.substr(address_.find(':')));
    const absl::Status status = TestService::NewStub(CreateChannel(shm))->Echo(Payload()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "shared memory")) << status;
    FailEvery("");
  }
}

INSTANTIATE_TEST_SUITE_P(All, NoMemoryForTheRing, ::testing::Values("memfd_create", "ftruncate", "fallocate"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace nearcall::testing
