#include "runtime/interceptors/intercepted_channel.h"

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/message.h"
#include "nearcall/internal/method.h"
#include "runtime/interceptors/call_record.h"

namespace nearcall {
namespace {

using internal::Tried;
using Interceptors = std::vector<std::shared_ptr<ClientInterceptor>>;

// Asks the interceptors as a call begins.
void Begin(const Interceptors& interceptors, const internal::Method& method, ClientContext* context,
           CallRecord* record) {
  const MethodInfo info = InfoOf(method);
  for (const std::shared_ptr<ClientInterceptor>& one : interceptors) record->Add(one->OnCall(info, context));
}

// What becomes of the messages of a unary call.
struct UnaryMessages {
  UnaryMessages(internal::OutMessage out, internal::InMessage in) : request(out.Sized()), response{in} {}
  UnaryMessages(const UnaryMessages&) = delete;  // what target() says points into it
  UnaryMessages& operator=(const UnaryMessages&) = delete;

  internal::InMessage target() { return internal::InMessage(&response); }
  void RecordEnd(const absl::Status& status, const ClientContext& context, CallRecord* record) const {
    if (!context.transport().empty()) record->Sent(request.ByteSize());
    if (status.ok()) record->Received(response.size);
    record->End(status);
  }

  const internal::OutMessage request;
  internal::MeasuredMessage response;
};

// A streaming call, its messages counted.
//
// Threads: as internal::ClientCall says.
class InterceptedCall : public internal::ClientCall {
 public:
  // Both must outlive it.
  InterceptedCall(internal::ClientCall* inner, CallRecord* record) : inner_(inner), record_(record) {}

  bool Write(internal::OutMessage message, WriteOptions options) override {
    const internal::OutMessage sized = message.Sized();
    if (!inner_->Write(sized, options)) return false;
    record_->Sent(sized.ByteSize());
    return true;
  }
  bool WritesDone() override { return inner_->WritesDone(); }
  bool Read(internal::InMessage message) override {
    internal::MeasuredMessage measured{message};
    if (!inner_->Read(internal::InMessage(&measured))) return false;
    record_->Received(measured.size);
    return true;
  }
  void WaitForInitialMetadata() override { inner_->WaitForInitialMetadata(); }
  absl::Status Finish() override {
    absl::Status status = inner_->Finish();
    record_->End(status);
    return status;
  }

  Tried TryWrite(internal::OutMessage message, WriteOptions options) override {
    const internal::OutMessage sized = message.Sized();
    const Tried tried = inner_->TryWrite(sized, options);
    if (tried == Tried::kDone) record_->Sent(sized.ByteSize());
    return tried;
  }
  Tried TryWritesDone() override { return inner_->TryWritesDone(); }
  Tried TryRead(internal::InMessage message) override {
    internal::MeasuredMessage measured{message};
    const Tried tried = inner_->TryRead(internal::InMessage(&measured));
    if (tried == Tried::kDone) record_->Received(measured.size);
    return tried;
  }
  Tried TryWaitForInitialMetadata() override { return inner_->TryWaitForInitialMetadata(); }
  Tried TryFinish(absl::Status* status) override { return inner_->TryFinish(status); }  // the driver has the last word

 private:
  internal::ClientCall* const inner_;
  CallRecord* const record_;
};

// The same, which owns the call and its record.
class OwningCall final : public InterceptedCall {
 public:
  OwningCall(std::unique_ptr<internal::ClientCall> inner, std::unique_ptr<CallRecord> record)
      : InterceptedCall(inner.get(), record.get()), record_(std::move(record)), inner_(std::move(inner)) {}

 private:
  const std::unique_ptr<CallRecord> record_;
  const std::unique_ptr<internal::ClientCall> inner_;  // the first to go: that ends the call
};

// Has `inner` drive a call that it sees as an intercepted one.
class InterceptedDriver final : public internal::ClientDriver {
 public:
  InterceptedDriver(std::shared_ptr<internal::ClientDriver> inner, std::shared_ptr<const Interceptors> interceptors)
      : inner_(std::move(inner)), record_(CallRecord::Side::kClient, std::move(interceptors)) {}

  CallRecord* record() { return &record_; }
  bool Drive(internal::ClientCall* call, absl::Status* status) override {
    InterceptedCall intercepted(call, &record_);
    return inner_->Drive(&intercepted, status);
  }
  void OnDone(const absl::Status& status) override {
    record_.End(status);
    inner_->OnDone(status);
  }

 private:
  const std::shared_ptr<internal::ClientDriver> inner_;
  CallRecord record_;
};

// See Intercept.
//
// Threads: thread-safe.
class InterceptedChannel final : public Channel {
 public:
  InterceptedChannel(std::shared_ptr<Channel> inner, const Interceptors& interceptors)
      : inner_(std::move(inner)), interceptors_(std::make_shared<const Interceptors>(interceptors)) {}

  const std::string& address() const override { return inner_->address(); }
  ConnectivityState GetState(bool try_to_connect) override { return inner_->GetState(try_to_connect); }
  bool WaitForConnected(absl::Time deadline) override { return inner_->WaitForConnected(deadline); }
  absl::StatusOr<Buffer> AllocateBuffer(size_t size) override { return inner_->AllocateBuffer(size); }

  absl::Status UnaryCall(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                         internal::InMessage response) override {
    if (NoCall(*context)) return inner_->UnaryCall(method, context, request, response);
    CallRecord record(CallRecord::Side::kClient);  // the caller keeps the channel meanwhile
    Begin(*interceptors_, method, context, &record);
    UnaryMessages messages(request, response);
    absl::Status status = inner_->UnaryCall(method, context, messages.request, messages.target());
    messages.RecordEnd(status, *context, &record);
    return status;
  }

  void UnaryCallAsync(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                      internal::InMessage response, std::function<void(absl::Status)> done) override {
    if (NoCall(*context)) return inner_->UnaryCallAsync(method, context, request, response, std::move(done));
    struct Call {
      CallRecord record;
      UnaryMessages messages;
    };
    // Shared, because a std::function may be copied.
    const std::shared_ptr<Call> call(
        new Call{CallRecord(CallRecord::Side::kClient, interceptors_), UnaryMessages(request, response)});
    Begin(*interceptors_, method, context, &call->record);
    inner_->UnaryCallAsync(method, context, call->messages.request, call->messages.target(),
                           [call, context, done = std::move(done)](absl::Status status) {
                             call->messages.RecordEnd(status, *context, &call->record);
                             done(std::move(status));
                           });
  }

  std::unique_ptr<internal::ClientCall> StartCall(const internal::Method& method, ClientContext* context) override {
    if (NoCall(*context)) return inner_->StartCall(method, context);
    auto record = std::make_unique<CallRecord>(CallRecord::Side::kClient, interceptors_);
    Begin(*interceptors_, method, context, record.get());
    return std::make_unique<OwningCall>(inner_->StartCall(method, context), std::move(record));
  }

  internal::CallWaker* StartCallAsync(const internal::Method& method, ClientContext* context,
                                      std::shared_ptr<internal::ClientDriver> driver) override {
    if (NoCall(*context)) return inner_->StartCallAsync(method, context, std::move(driver));
    auto intercepted = std::make_shared<InterceptedDriver>(std::move(driver), interceptors_);
    Begin(*interceptors_, method, context, intercepted->record());
    return inner_->StartCallAsync(method, context, std::move(intercepted));
  }

 private:
  // A context that has had its call gets no other, and the one that it has may be under way.
  static bool NoCall(const ClientContext& context) { return internal::ClientContextAccess::used(context); }

  const std::shared_ptr<Channel> inner_;
  const std::shared_ptr<const Interceptors> interceptors_;
};

}  // namespace

std::shared_ptr<Channel> Intercept(std::shared_ptr<Channel> inner,
                                   const std::vector<std::shared_ptr<ClientInterceptor>>& interceptors) {
  if (interceptors.empty()) return inner;
  return std::make_shared<InterceptedChannel>(std::move(inner), interceptors);
}

}  // namespace nearcall
