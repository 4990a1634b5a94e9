// Handlers that block, on the threads of a server.

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/features.nearcall.h"
#include "protos/testing/features.pb.h"
#include "tests/features/feature_test.h"
#include "tests/testing/sanitizer.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using google::protobuf::Empty;

// GetNotes runs on the thread that polls, and remembers it; WaitForCancel blocks, and counts its calls on that thread.
class Threads final : public Features::Service {
 public:
  absl::Status GetNotes(ServerContext*, const Empty*, Notes*) override {
    poller = std::this_thread::get_id();
    return absl::OkStatus();
  }
  absl::Status WaitForCancel(ServerContext*, const Empty*, Empty*) override {
    if (std::this_thread::get_id() == poller.load()) ++on_poller;
    ++entered;
    open.WaitForNotification();
    return absl::OkStatus();
  }

  std::atomic<std::thread::id> poller{};
  std::atomic<int> entered{0}, on_poller{0};
  absl::Notification open;
};

class Blocking : public FeatureTest {};

TEST_P(Blocking, OfManyCallsThatBlockOneHoldsUpThePoller) {
  constexpr int kCalls = 10;
  Threads threads;
  ServerBuilder builder;
  builder.RegisterService(&threads);
  builder.AddListeningPort(AddressForServer());
  const absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  ASSERT_EQ(server.status(), absl::OkStatus());
  const auto stub = Features::NewStub(CreateChannel((*server)->addresses().front()));
  std::vector<std::thread> callers;
  for (int i = 0; i < kCalls; ++i) {
    // Until it runs on the poller: the first ones may have taken long, and then workers run the next 64.
    for (int n = 0; n < 100; ++n) ASSERT_EQ(stub->GetNotes(Empty()).status(), absl::OkStatus());
    callers.emplace_back([&] { EXPECT_EQ(stub->WaitForCancel(Empty()).status(), absl::OkStatus()); });
    Await([&] { return threads.entered == i + 1; });
  }
  // The first one: nothing was known of its method. The others go elsewhere although none of them has returned. Under a
  // sanitizer the other method takes long as well at first, and the worker that has run it may be the next to block.
  EXPECT_LE(threads.on_poller, NEARCALL_INSTRUMENTED ? kCalls * 2 / 3 : kCalls / 3);
  threads.open.Notify();
  for (std::thread& caller : callers) caller.join();
}

INSTANTIATE_TEST_SUITE_P(Features, Blocking, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
