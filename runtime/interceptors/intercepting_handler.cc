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

// A call as the handler behind the interceptors sees it. Deletes itself when that finishes it.
//
// Threads: as internal::ServerCall says.
class InterceptedServerCall final : public internal::ServerCall {
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
    size_t size = 0;
    const internal::InMessage measured = message.Measured(&size);
    if (!inner_->Read(measured)) return false;
    record_.Received(measured.size());
    return true;
  }
  bool Write(internal::OutMessage message, WriteOptions options) override {
    const internal::OutMessage sized = message.Sized();
    if (!inner_->Write(sized, options)) return false;
    record_.Sent(sized.ByteSize());
    return true;
  }
  bool SendInitialMetadata() override { return inner_->SendInitialMetadata(); }
  void Finish(const absl::Status& status) override {
    RecordEnd(status);
    inner_->Finish(status);
    delete this;
  }
  void FinishWithMessage(internal::OutMessage message) override {
    const internal::OutMessage sized = message.Sized();
    if (!context()->IsCancelled()) record_.Sent(sized.ByteSize());
    RecordEnd(absl::OkStatus());
    inner_->FinishWithMessage(sized);
    delete this;
  }

 private:
  ~InterceptedServerCall() = default;

  void RecordEnd(const absl::Status& status) {
    if (!context()->IsCancelled()) return record_.End(status);
    record_.End(absl::Now() >= context()->deadline()
                    ? absl::DeadlineExceededError("the deadline passed before the handler was done")
                    : absl::CancelledError("the caller did not wait for the handler"));
  }

  internal::ServerCall* const inner_;
  CallRecord record_;
};

// See Intercept.
class InterceptingHandler final : public internal::MethodHandler {
 public:
  InterceptingHandler(internal::MethodHandler* inner, const internal::Method& method,
                      const ServerInterceptors* interceptors)
      : inner_(inner), method_(InfoOf(method)), interceptors_(interceptors) {}

  void Run(internal::ServerCall* call) override {
    auto* const intercepted = new InterceptedServerCall(call);
    if (const absl::Status refused = intercepted->Begin(method_, *interceptors_); !refused.ok()) {
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
