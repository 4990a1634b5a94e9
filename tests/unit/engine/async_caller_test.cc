#include "runtime/engine/async_caller.h"

#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/internal/method.h"
#include "runtime/base/clock.h"

namespace nearcall {
namespace {

constexpr char kName[] = "/test.Test/Refused";

// A call that is over as soon as it is looked at.
class RefusedCall final : public AsyncCall {
 public:
  RefusedCall(const internal::Method& method, ClientContext* context, std::function<void()> done)
      : AsyncCall(method, context, kNever), done_(std::move(done)) {}

  CallOutcome Begin(std::shared_ptr<ClientConnection>) override { return {absl::InternalError("begun")}; }
  void Fail(CallOutcome outcome) override { outcome_ = std::move(outcome); }
  std::optional<CallOutcome> Drive() override { return outcome_; }
  void Done(absl::Status status) override {
    EXPECT_EQ(status, absl::CancelledError("refused"));
    done_();
  }

 private:
  const std::function<void()> done_;
  CallOutcome outcome_;
};

// A callback may drop the channel while the thread that began the call is still inside Start, which touches nothing any
// more then. TSan sees it if it does, whoever is first.
TEST(AsyncCallerTest, MayBeGoneBeforeStartReturns) {
  const internal::Method method(kName, internal::MethodType::kUnary);
  for (int round = 0; round < 100; ++round) {
    const auto reactor = std::make_unique<Reactor>(Spin::kNever);
    auto* const caller = new AsyncCaller(
        reactor.get(), [] { return false; },
        [](AsyncCall*) -> absl::StatusOr<std::shared_ptr<ClientConnection>> { return absl::InternalError("none"); },
        [](const internal::Method&, const CallOutcome&, int) { return false; });
    ClientContext context;
    absl::Notification over;
    std::thread dropper([&] {
      over.WaitForNotification();
      caller->Stop();
      delete caller;
    });
    caller->Start(std::make_unique<RefusedCall>(method, &context, [&] { over.Notify(); }),
                  absl::CancelledError("refused"));
    dropper.join();
  }
}

}  // namespace
}  // namespace nearcall
