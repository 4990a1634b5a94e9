// Server::ShutdownOnSignals.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/features.nearcall.h"
#include "protos/testing/features.pb.h"
#include "tests/testing/services.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using google::protobuf::Empty;

std::atomic<int> handled{0};
void CountSignal(int) { ++handled; }

class Signals : public ::testing::Test {
 protected:
  Signals() {
    signal(SIGUSR1, &CountSignal);
    handled = 0;
  }
  ~Signals() override { signal(SIGUSR1, SIG_DFL); }

  std::unique_ptr<Server> Serve(const std::string& address) {
    services_.push_back(MakeServices(Form::kBlocking));
    ServerBuilder builder;
    builder.AddListeningPort(address);
    for (const std::unique_ptr<Service>& service : services_.back()) builder.RegisterService(service.get());
    absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
    EXPECT_EQ(server.status(), absl::OkStatus());
    return *std::move(server);
  }

 private:
  std::vector<std::vector<std::unique_ptr<Service>>> services_;
};

TEST_F(Signals, ASignalShutsTheServerDown) {
  const std::unique_ptr<Server> server = Serve("inproc:one");
  ASSERT_EQ(server->ShutdownOnSignals({SIGUSR1}), absl::OkStatus());
  kill(getpid(), SIGUSR1);
  server->Wait();
  EXPECT_EQ(handled, 0);
}

TEST_F(Signals, CallsInProgressGoOnUntilTheSecondSignal) {
  const std::unique_ptr<Server> server = Serve("inproc:finish");
  ASSERT_EQ(server->ShutdownOnSignals({SIGUSR1}), absl::OkStatus());
  const auto stub = Features::NewStub(CreateChannel("inproc:finish"));
  ClientContext context;
  const Empty request;
  Empty response;
  absl::Status status;
  absl::Notification done;
  stub->async()->WaitForCancel(&context, &request, &response, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  Await([&] { return stub->GetNotes(Empty())->entered() == 1; });
  kill(getpid(), SIGUSR1);
  Await([&] { return stub->GetNotes(Empty()).status().code() == absl::StatusCode::kUnavailable; });
  EXPECT_FALSE(done.HasBeenNotified()) << "it drains";
  kill(getpid(), SIGUSR1);
  done.WaitForNotification();
  EXPECT_EQ(status, absl::CancelledError("the server is shutting down"));
  server->Wait();
}

TEST_F(Signals, CallsInProgressHaveTheirGrace) {
  const std::unique_ptr<Server> server = Serve("inproc:grace");
  ASSERT_EQ(server->ShutdownOnSignals({SIGUSR1}, absl::Milliseconds(10)), absl::OkStatus());
  const auto stub = Features::NewStub(CreateChannel("inproc:grace"));
  absl::Status status;
  std::thread caller([&] { status = stub->WaitForCancel(Empty()).status(); });
  Await([&] { return stub->GetNotes(Empty())->entered() == 1; });
  kill(getpid(), SIGUSR1);
  server->Wait();
  caller.join();
  EXPECT_EQ(status, absl::CancelledError("the server is shutting down"));
}

TEST_F(Signals, WhatTheSignalDidBeforeItDoesAgain) {
  {
    const std::unique_ptr<Server> first = Serve("inproc:a");
    const std::unique_ptr<Server> second = Serve("inproc:b");
    ASSERT_EQ(first->ShutdownOnSignals({SIGUSR1}), absl::OkStatus());
    ASSERT_EQ(second->ShutdownOnSignals({SIGUSR1}), absl::OkStatus());
    kill(getpid(), SIGUSR1);
    first->Wait();
    second->Wait();
    EXPECT_EQ(handled, 0);
  }
  kill(getpid(), SIGUSR1);
  Await([] { return handled == 1; });
}

TEST_F(Signals, AForkedChildIsNotItsParent) {
  const std::unique_ptr<Server> server = Serve("inproc:parent");
  ASSERT_EQ(server->ShutdownOnSignals({SIGUSR1}), absl::OkStatus());
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // the watchdog is in the parent
    raise(SIGUSR1);                    // what it did before: CountSignal
    Await([] { return handled == 1; });
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Features::NewStub(CreateChannel("inproc:parent"))->GetNotes(Empty()).status(), absl::OkStatus())
      << "the server is still there";
}

TEST_F(Signals, SomeCannotBeCaught) {
  const std::unique_ptr<Server> server = Serve("inproc:none");
  EXPECT_EQ(server->ShutdownOnSignals({SIGKILL}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server->ShutdownOnSignals({0}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server->ShutdownOnSignals({100000}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace nearcall::testing
