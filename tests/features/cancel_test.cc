// Handlers that block hear of their calls' cancellation.

#include <signal.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/features.nearcall.h"
#include "protos/testing/features.pb.h"
#include "tests/features/feature_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using google::protobuf::Empty;

class Cancel : public FeatureTest {
 protected:
  void AwaitEntered(Features::Stub* stub, int64_t count) {
    Await([&] { return stub->GetNotes(Empty())->entered() == count; });
  }
  void AwaitCancelled(Features::Stub* stub, int64_t count) {
    Await([&] { return stub->GetNotes(Empty())->cancelled() == count; });
  }
};

TEST_P(Cancel, ByTheCaller) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  ClientContext context;
  std::thread canceller([&] {
    AwaitEntered(stub.get(), 1);
    context.TryCancel();
  });
  Empty response;
  EXPECT_EQ(stub->WaitForCancel(&context, Empty(), &response).code(), absl::StatusCode::kCancelled);
  canceller.join();
  AwaitCancelled(stub.get(), 1);
}

TEST_P(Cancel, ByTheDeadline) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  CallOptions options;
  options.timeout = absl::Milliseconds(20);
  EXPECT_EQ(stub->WaitForCancel(Empty(), options).status().code(), absl::StatusCode::kDeadlineExceeded);
  AwaitCancelled(stub.get(), 1);
}

TEST_P(Cancel, ByTheServer) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  EXPECT_EQ(stub->CancelYourself(Empty()).status(), absl::CancelledError("the server cancelled the call"));
  AwaitCancelled(stub.get(), 1);
}

TEST_P(Cancel, ByTheEndOfTheConnection) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  ClientContext context;
  const Empty request;
  Empty response;
  absl::Notification done;
  auto doomed = CreateChannel(address());
  const auto doomed_stub = Features::NewStub(doomed);
  doomed_stub->async()->WaitForCancel(&context, &request, &response, [&](absl::Status) { done.Notify(); });
  AwaitEntered(stub.get(), 1);
  context.TryCancel();
  done.WaitForNotification();
  AwaitCancelled(stub.get(), 1);
}

TEST_P(Cancel, ByAShutdownThatDoesNotWait) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  absl::Status status;
  std::thread caller([&] { status = stub->WaitForCancel(Empty()).status(); });
  AwaitEntered(stub.get(), 1);
  server()->Shutdown(absl::ZeroDuration());  // returns: the handler has heard of it
  caller.join();
  EXPECT_FALSE(status.ok());
}

INSTANTIATE_TEST_SUITE_P(Features, Cancel, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
