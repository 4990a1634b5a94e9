// Who may connect, and how much a server does at once.

#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

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

class Limits : public FeatureTest {
 protected:
  std::unique_ptr<Features::Stub> Connect() { return Features::NewStub(CreateChannel(address())); }
};

TEST_P(Limits, ConnectionsAreCounted) {
  ServerOptions options;
  options.max_connections = 2;
  StartServer(options);
  const auto first = Connect();
  EXPECT_EQ(first->GetNotes(Empty()).status(), absl::OkStatus());
  {
    const auto second = Connect();
    EXPECT_EQ(second->GetNotes(Empty()).status(), absl::OkStatus());
    const absl::Status refused = Connect()->GetNotes(Empty()).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted) << refused;
    EXPECT_NE(refused.message().find("max_connections"), std::string::npos) << refused;
    EXPECT_EQ(second->GetNotes(Empty()).status(), absl::OkStatus()) << "the others notice nothing";
  }
  Await([&] { return Connect()->GetNotes(Empty()).ok(); });
  EXPECT_EQ(first->GetNotes(Empty()).status(), absl::OkStatus());
}

TEST_P(Limits, TheServerSaysWhoMayConnect) {
  ServerOptions options;
  std::atomic<bool> open{false};
  Peer seen;
  options.authorize_connection = [&](const Peer& peer) {
    seen = peer;
    return open ? absl::OkStatus() : absl::PermissionDeniedError("not you");
  };
  StartServer(options);
  const auto stub = Connect();
  const absl::Status refused = stub->GetNotes(Empty()).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied) << refused;
  EXPECT_NE(refused.message().find("not you"), std::string::npos) << refused;
  ASSERT_TRUE(seen.credentials.has_value());
  EXPECT_EQ(seen.credentials->uid, geteuid());
  EXPECT_EQ(seen.credentials->pid, getpid());
  open = true;
  Await([&] { return stub->GetNotes(Empty()).ok(); });  // once the back-off is over
}

TEST_P(Limits, TheServerSaysWhoMayCallWhat) {
  // What a ServerInterceptor is for; here through the builder, in this process.
  class NoRelease final : public ServerInterceptor {
   public:
    absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo& method, ServerContext* context) override {
      if (method.name == "/nearcall.testing.Features/Release" && context->peer_info().credentials->uid == geteuid()) {
        return absl::PermissionDeniedError("no release for you");
      }
      return nullptr;
    }
  };
  Features::Service service;
  ServerBuilder builder;
  builder.AddListeningPort(AddressForServer()).RegisterService(&service).AddInterceptor(std::make_shared<NoRelease>());
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  ASSERT_EQ(server.status(), absl::OkStatus());
  const auto stub = Features::NewStub(CreateChannel((*server)->addresses().front()));
  EXPECT_EQ(stub->Release(Empty()).status(), absl::PermissionDeniedError("no release for you"));
  EXPECT_EQ(stub->GetNotes(Empty()).status().code(), absl::StatusCode::kUnimplemented) << "it got through";
}

TEST_P(Limits, CallsAreCountedOverAllConnections) {
  ServerOptions options;
  options.max_concurrent_calls = 2;
  StartServer(options);
  const Empty request;
  struct Waiting {
    ClientContext context;
    Empty response;
    absl::Notification done;
  };
  std::unique_ptr<Waiting> first, second;
  const auto stub = Connect();
  // Begins a call that waits; again, if it was refused itself, beside one of ours that still counted.
  const auto hold = [&](std::unique_ptr<Waiting>* call) {
    if (*call != nullptr && !(*call)->done.HasBeenNotified()) return;
    *call = std::make_unique<Waiting>();
    stub->async()->WaitForCancel(&(*call)->context, &request, &(*call)->response,
                                 [done = &(*call)->done](absl::Status) { done->Notify(); });
  };
  const auto other = Connect();
  Await([&] {  // one under the limit: calls go through
    hold(&first);
    const absl::StatusOr<Notes> notes = other->GetNotes(Empty());
    return notes.ok() && notes->entered() == 1;
  });
  absl::Status refused;
  Await([&] {
    hold(&second);
    refused = other->GetNotes(Empty()).status();
    return !refused.ok();
  });
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(refused.message().find("max_concurrent_calls"), std::string::npos) << refused;
  first->context.TryCancel();
  first->done.WaitForNotification();
  Await([&] { return other->GetNotes(Empty()).ok(); });
  second->context.TryCancel();
  second->done.WaitForNotification();
}

TEST_P(Limits, HandlersThatMayRunAtOnceAreCounted) {
  ServerOptions options;
  options.max_handler_threads = 2;
  StartServer(options);
  const auto stub = Connect();
  std::vector<ClientContext> contexts(3);
  std::vector<absl::Notification> done(3);
  const Empty request;
  std::vector<Empty> responses(3);
  const auto wait = [&](int i) {
    stub->async()->WaitForCancel(&contexts[i], &request, &responses[i], [&done, i](absl::Status) { done[i].Notify(); });
  };
  wait(0);
  Await([&] { return stub->GetNotes(Empty())->entered() == 1; });
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(stub->GetNotes(Empty()).status(), absl::OkStatus()) << "there is one thread left";
  }
  wait(1);
  // Two handlers wait: what is called now waits, too, and is served when one of them is done.
  CallOptions soon;
  soon.timeout = absl::Milliseconds(50);
  Await([&] { return stub->GetNotes(Empty(), soon).status().code() == absl::StatusCode::kDeadlineExceeded; });
  wait(2);
  contexts[0].TryCancel();
  done[0].WaitForNotification();
  contexts[1].TryCancel();
  done[1].WaitForNotification();
  Await([&] { return stub->GetNotes(Empty())->entered() == 3; });
  contexts[2].TryCancel();
  done[2].WaitForNotification();
}

INSTANTIATE_TEST_SUITE_P(Features, Limits, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
