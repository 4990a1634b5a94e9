#include "runtime/interceptors/intercepting_handler.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "nearcall/internal/handlers.h"
#include "nearcall/internal/message.h"
#include "nearcall/server_context.h"
#include "runtime/interceptors/call_record.h"

namespace nearcall {
namespace {

using internal::Tried;

// A call as what serves it, a handler that blocks or a driver, sees it behind the interceptors; and the driver as the
// call sees it.
//
// Threads: as internal::ServerCall says. Lifetime: its own until the call is finished, or the driver's.
class InterceptedServerCall final : public internal::ServerCall, public internal::ServerDriver {
 public:
  explicit InterceptedServerCall(internal::ServerCall* inner) : inner_(inner), record_(CallRecord::Side::kServer) {}

  // Asks the interceptors, until one refuses the call.
  absl::Status Begin(const MethodInfo& method, const ServerInterceptors& interceptors) {
    for (const std::shared_ptr<ServerInterceptor>& one : interceptors) {
      absl::Status status = internal::RunCatching([&] {
        absl::StatusOr<std::unique_ptr<CallListener>> listener = one->OnCall(method, inner_->context());
        if (listener.ok()) record_.Add(*std::move(listener));
        return listener.status();
      });
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  ServerContext* context() override { return inner_->context(); }
  bool Read(internal::InMessage message) override {
    internal::MeasuredMessage measured{message};
    if (!inner_->Read(internal::InMessage(&measured))) return false;
    record_.Received(measured.size);
    return true;
  }
  bool Write(internal::OutMessage message, WriteOptions options) override {
    const internal::OutMessage sized = message.Sized();
    if (!inner_->Write(sized, options)) return false;
    record_.Sent(sized.ByteSize());
    return true;
  }
  bool SendInitialMetadata() override { return inner_->SendInitialMetadata(); }
  void TryCancel() override { inner_->TryCancel(); }
  void WatchDeadline() override { inner_->WatchDeadline(); }
  void Finish(const absl::Status& status) override {
    RecordEnd(status);
    inner_->Finish(status);
    delete this;
  }
  void FinishWithMessage(internal::OutMessage message) override {
    const internal::OutMessage sized = message.Sized();
    RecordEnd(absl::OkStatus(), &sized);
    inner_->FinishWithMessage(sized);
    delete this;
  }

  void StartDriving(std::shared_ptr<internal::ServerDriver> driver) override {
    driver_ = std::move(driver);
    inner_->StartDriving(std::shared_ptr<internal::ServerDriver>(this));
  }
  void Wake() override { inner_->Wake(); }
  Tried TryRead(internal::InMessage message) override {
    internal::MeasuredMessage measured{message};
    const Tried tried = inner_->TryRead(internal::InMessage(&measured));
    if (tried == Tried::kDone) record_.Received(measured.size);
    return tried;
  }
  Tried TryWrite(internal::OutMessage message, WriteOptions options) override {
    const internal::OutMessage sized = message.Sized();
    const Tried tried = inner_->TryWrite(sized, options);
    if (tried == Tried::kDone) record_.Sent(sized.ByteSize());
    return tried;
  }
  Tried TrySendInitialMetadata() override { return inner_->TrySendInitialMetadata(); }
  Tried TryFinish(const absl::Status& status, const internal::OutMessage* message) override {
    if (!record_.ended()) RecordEnd(status, status.ok() ? message : nullptr);  // it may take several tries
    return inner_->TryFinish(status, message);
  }

  // --- internal::ServerDriver ---
  bool Drive() override { return driver_->Drive(); }
  void OnDone() override { driver_->OnDone(); }

 private:
  // `message` goes with the status.
  void RecordEnd(const absl::Status& status, const internal::OutMessage* message = nullptr) {
    if (!context()->IsCancelled()) {
      if (message != nullptr) record_.Sent(message->ByteSize());
      return record_.End(status);
    }
    record_.End(absl::Now() >= context()->deadline()
                    ? absl::DeadlineExceededError("the deadline passed before the handler was done")
                    : absl::CancelledError("the caller did not wait for the handler"));
  }

  internal::ServerCall* const inner_;
  CallRecord record_;
  std::shared_ptr<internal::ServerDriver> driver_;
};

// See Intercept.
class InterceptingHandler final : public internal::MethodHandler {
 public:
  InterceptingHandler(internal::MethodHandler* inner, const internal::Method& method,
                      const ServerInterceptors* interceptors)
      : inner_(inner), method_(InfoOf(method)), interceptors_(interceptors) {}

  bool drives() const override { return inner_->drives(); }
  void Run(internal::ServerCall* call) override {
    auto* const intercepted = new InterceptedServerCall(call);
    MethodInfo method = method_;
    if (method.name.empty()) method.name = call->context()->method();
    if (const absl::Status refused = intercepted->Begin(method, *interceptors_); !refused.ok()) {
      return intercepted->Finish(refused);
    }
    inner_->Run(intercepted);
  }

 private:
  internal::MethodHandler* const inner_;
  const MethodInfo method_;
  const ServerInterceptors* const interceptors_;
};

}  // namespace

std::unique_ptr<internal::MethodHandler> Intercept(internal::MethodHandler* inner, const internal::Method& method,
                                                   const ServerInterceptors* interceptors) {
  return std::make_unique<InterceptingHandler>(inner, method, interceptors);
}

}  // namespace nearcall
