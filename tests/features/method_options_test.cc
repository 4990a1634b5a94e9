// What the options of nearcall/options.proto do when calls are made.

#include <unistd.h>

#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/features.nearcall.h"
#include "protos/testing/features.pb.h"
#include "tests/features/feature_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using google::protobuf::Empty;

Notes GetNotes(Features::Stub* stub) {
  absl::StatusOr<Notes> notes = stub->GetNotes(Empty());
  EXPECT_EQ(notes.status(), absl::OkStatus());
  return notes.ok() ? *notes : Notes();
}

Note NoteThatWaits() {
  Note note;
  note.set_wait(true);
  return note;
}

class MethodOptions : public FeatureTest {};

TEST_P(MethodOptions, OneWayCallsReturnBeforeTheirHandlers) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  EXPECT_EQ(stub->TakeNote(NoteThatWaits()).status(), absl::OkStatus()) << "its handler still waits";
  EXPECT_EQ(GetNotes(stub.get()).taken(), 0);
  EXPECT_EQ(stub->Release(Empty()).status(), absl::OkStatus());
  Await([&] { return GetNotes(stub.get()).taken() == 1; });
}

TEST_P(MethodOptions, OneWayCallsAllArrive) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  constexpr int kCalls = 20'000;  // far more than a connection's slots: the caller waits for the oldest
  Note note;
  for (int i = 0; i < kCalls; ++i) ASSERT_EQ(stub->TakeNote(note).status(), absl::OkStatus());
  note.set_text(std::string(100'000, 'x'));  // in fragments
  ASSERT_EQ(stub->TakeNote(note).status(), absl::OkStatus());
  Await([&] { return GetNotes(stub.get()).taken() == kCalls + 1; });
}

TEST_P(MethodOptions, OneWayCallsWaitWhenTooManyAreUnderWay) {
  ServerOptions options;
  options.max_concurrent_calls_per_connection = 4;
  StartServer(options);
  const auto stub = Features::NewStub(CreateChannel(address()));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(stub->TakeNote(NoteThatWaits()).status(), absl::OkStatus());
  CallOptions soon;
  soon.timeout = absl::Milliseconds(20);
  EXPECT_EQ(stub->TakeNote(NoteThatWaits(), soon).status().code(), absl::StatusCode::kDeadlineExceeded);
  ClientContext context;
  Empty response;
  std::thread canceller([&] { context.TryCancel(); });
  EXPECT_EQ(stub->TakeNote(&context, NoteThatWaits(), &response).code(), absl::StatusCode::kCancelled);
  canceller.join();
  Await([&] { return GetNotes(stub.get()).entered() == 2; });  // the other slots are for calls like this one
  EXPECT_EQ(stub->Release(Empty()).status(), absl::OkStatus());
  EXPECT_EQ(stub->TakeNote(NoteThatWaits()).status(), absl::OkStatus());
  Await([&] { return GetNotes(stub.get()).taken() == 3; });
}

TEST_P(MethodOptions, OneWayCallsSayWhenTheyCannotBeSent) {
  const auto stub = Features::NewStub(CreateChannel(AddressForNobody()));
  EXPECT_EQ(stub->TakeNote(Note()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_P(MethodOptions, OneWayCallsSurviveTheirServersEnd) {
  TestServer* const first = StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  EXPECT_EQ(stub->TakeNote(Note()).status(), absl::OkStatus());
  const std::string where = address();
  EndServer(first);
  StartServerOn(where);
  // What was sent to the old one in its last moment is lost.
  Await([&] {
    if (!stub->TakeNote(Note()).ok()) return false;
    const absl::StatusOr<Notes> notes = stub->GetNotes(Empty());  // which may meet the old one's end, too
    return notes.ok() && notes->taken() >= 1;
  });
}

// Nobody hears of one that is lost: the connection's end must show before it is sent.
TEST_P(MethodOptions, OneWayCallsFindTheNextServer) {
  TestServer* const server = StartServer();
  const std::string address = server->addresses().front();
  const auto stub = Features::NewStub(CreateChannel(address));
  EXPECT_EQ(stub->TakeNote(Note()).status(), absl::OkStatus());
  EndServer(server);
  StartServerOn(address);
  absl::SleepFor(absl::Milliseconds(2));  // idle is what was not used for one
  EXPECT_EQ(stub->TakeNote(Note()).status(), absl::OkStatus());
  const auto other = Features::NewStub(CreateChannel(address));
  Await([&] { return GetNotes(other.get()).taken() == 1; });
}

TEST_P(MethodOptions, AsyncOneWayCallsSayHowTheyEnded) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  ClientContext context;
  const Note note;
  Empty response;
  absl::Notification done;
  absl::Status status;
  stub->async()->TakeNote(&context, &note, &response, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
}

TEST_P(MethodOptions, TheDefaultTimeoutIsForCallersWithoutADeadline) {
  StartServer();
  const auto stub = Features::NewStub(CreateChannel(address()));
  EXPECT_EQ(stub->WaitForTimeout(Empty()).status().code(), absl::StatusCode::kDeadlineExceeded);

  ClientContext async_context;
  const Empty request;
  Empty response;
  absl::Notification done;
  absl::Status status;
  stub->async()->WaitForTimeout(&async_context, &request, &response, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);

  // A deadline of one's own takes its place, a later one too. Of the handlers until now some may not have begun in
  // time.
  Notes before;
  Await([&] {
    before = GetNotes(stub.get());
    return before.entered() == before.cancelled();
  });
  ClientContext context;
  context.set_timeout(absl::Hours(1));
  std::thread canceller([&] {
    Await([&] { return GetNotes(stub.get()).entered() == before.entered() + 1; });
    context.TryCancel();
  });
  EXPECT_EQ(stub->WaitForTimeout(&context, Empty(), &response).code(), absl::StatusCode::kCancelled);
  canceller.join();
  Await([&] { return GetNotes(stub.get()).cancelled() == before.cancelled() + 1; });
}

class Repeating : public FeatureTest {
 protected:
  Repeating() : FeatureTest(Where::kOwnProcess) {}
  void SetUp() override {
    if (!server_elsewhere()) GTEST_SKIP() << "the server must be able to die";
  }

  // Calls, has the server die of it and another one come, and gives the call's end.
  absl::Status CallThroughADeath(absl::Status (*call)(Features::Stub*, ClientContext*, const DieRequest&)) {
    TestServer* const first = StartServer();
    const std::string where = address();
    const auto stub = Features::NewStub(CreateChannel(where));
    EXPECT_EQ(GetNotes(stub.get()).taken(), 0);
    DieRequest request;
    request.set_path(directory() + "/died");
    absl::Status status;
    std::thread caller([&] {
      ClientContext context;
      context.set_wait_for_ready(true);
      status = call(stub.get(), &context, request);
    });
    Await([&] { return access(request.path().c_str(), F_OK) == 0; });
    KillServer(first);
    StartServerOn(where);
    caller.join();
    unlink(request.path().c_str());
    return status;
  }
};

TEST_P(Repeating, IdempotentCallsAreMadeAgain) {
  EXPECT_EQ(CallThroughADeath([](Features::Stub* stub, ClientContext* context, const DieRequest& request) {
              Empty response;
              return stub->DieRepeatably(context, request, &response);
            }),
            absl::OkStatus());
}

TEST_P(Repeating, OtherCallsAreNotMadeAgain) {
  const absl::Status status =
      CallThroughADeath([](Features::Stub* stub, ClientContext* context, const DieRequest& request) {
        Empty response;
        return stub->Die(context, request, &response);
      });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(SurelyNotSeen(status));
}

INSTANTIATE_TEST_SUITE_P(Features, MethodOptions, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);
INSTANTIATE_TEST_SUITE_P(Features, Repeating, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
