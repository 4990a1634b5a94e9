// The calls that generated adapters for callers make straight over a channel of ours.

#include <atomic>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "grpc/support/time.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/support/client_interceptor.h"
#include "nearcall/grpc_adapter.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/grpc_stub.h"
#include "runtime/transports/grpc/convert.h"
#include "runtime/transports/grpc/grpc_access.h"

namespace nearcall::internal {
namespace {

namespace experimental = grpc::experimental;
using grpc_transport::ToGrpc;

// What gRPC's context keeps of the call that is made for it: our context, which is cancelled with it and owns the
// metadata that are entered there.
class Counterpart final : public experimental::Interceptor {
 public:
  ClientContext* context() { return &context_; }
  // gRPC's call never begins: all that there is to intercept is its cancellation.
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    context_.TryCancel();
    methods->Proceed();
  }

 private:
  ClientContext context_;
};

// Calls of gRPC's that never begin.
//
// Threads: thread-safe. Never destroyed, for a context may outlive anything else.
class Placeholders {
 public:
  static Placeholders& Get() {
    static auto* const placeholders = new Placeholders();
    return *placeholders;
  }

  // Gives `context` such a call. From then on cancelling it cancels what is returned, which lives as long.
  ClientContext* Make(grpc::ClientContext* context) {
    GrpcClientAccess::MakeCall(channel_.get(), method_, context, &queue_);
    return std::exchange(made_, nullptr)->context();
  }

 private:
  class Factory final : public experimental::ClientInterceptorFactoryInterface {
   public:
    experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override {
      made_ = new Counterpart();
      return made_;
    }
  };

  static std::shared_ptr<grpc::Channel> NewChannel() {
    std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>> factories;
    factories.push_back(std::make_unique<Factory>());
    // Without credentials there is nothing behind the channel.
    return experimental::CreateCustomChannelWithInterceptors("nearcall", nullptr, grpc::ChannelArguments(),
                                                             std::move(factories));
  }

  static thread_local Counterpart* made_;  // inside MakeCall

  const std::shared_ptr<grpc::Channel> channel_ = NewChannel();
  const grpc::internal::RpcMethod method_{"/nearcall/call", grpc::internal::RpcMethod::BIDI_STREAMING, channel_};
  grpc::CompletionQueue queue_;  // a call must have one
};

thread_local Counterpart* Placeholders::made_ = nullptr;

// A point in time of gRPC's, as the time until then.
absl::Duration Remaining(gpr_timespec deadline) {
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec);
}

void Enter(const Metadata& from, std::multimap<grpc::string_ref, grpc::string_ref>* to) {
  for (const Metadata::Pair& pair : from) {
    to->emplace(grpc::string_ref(pair.first.data(), pair.first.size()),
                grpc::string_ref(pair.second.data(), pair.second.size()));
  }
}

WriteOptions ToOurs(const grpc::WriteOptions& options) {
  WriteOptions ours;
  ours.buffer_hint = options.get_buffer_hint();
  ours.last_message = options.is_last_message();
  return ours;
}

}  // namespace

// --- GrpcContextLink ---

GrpcContextLink::GrpcContextLink(grpc::ClientContext* context)
    : context_(context), ours_(Placeholders::Get().Make(context)) {
  const gpr_timespec deadline = context->raw_deadline();
  if (deadline.tv_sec != gpr_inf_future(deadline.clock_type).tv_sec) ours_->set_timeout(Remaining(deadline));
  ours_->set_wait_for_ready(GrpcClientAccess::wait_for_ready(*context));
  for (const auto& [key, value] : GrpcClientAccess::metadata(*context)) ours_->AddMetadata(key, value);
  GrpcClientAccess::MarkInitialMetadata(context);
}

void GrpcContextLink::TakeInitialMetadata() {
  if (std::exchange(has_initial_metadata_, true)) return;
  Enter(ours_->GetServerInitialMetadata(), GrpcClientAccess::initial_metadata(context_));
}

grpc::Status GrpcContextLink::TakeEnd(const absl::Status& status) {
  TakeInitialMetadata();
  Enter(ours_->GetServerTrailingMetadata(), GrpcClientAccess::trailing_metadata(context_));
  return ToGrpc(status, /*keep_delivery=*/true);
}

// --- GrpcCalls ---

bool GrpcCalls::NeedsGrpc(grpc::ClientContext* context) {
  return GrpcClientAccess::has_parent(*context) || context->credentials() != nullptr;
}

std::shared_ptr<grpc::Channel> GrpcCalls::Detour() const {
  MutexLock lock(&mu_);
  if (detour_ == nullptr) {
    absl::StatusOr<std::shared_ptr<grpc::Channel>> made = GrpcChannelOver(channel_);
    // A channel without credentials fails every call, which is all that is left to do.
    detour_ = made.ok() ? *std::move(made) : grpc::CreateChannel("nearcall", nullptr);
  }
  return detour_;
}

grpc::Status GrpcCalls::Unary(const Method& method, grpc::ClientContext* context,
                              const google::protobuf::MessageLite& request,
                              google::protobuf::MessageLite* response) const {
  GrpcContextLink link(context);
  return link.TakeEnd(channel_->UnaryCall(method, link.ours(), OutMessage(request), InMessage(response)));
}

// --- GrpcStream ---

GrpcStream::GrpcStream(const GrpcCalls& calls, const Method& method, grpc::ClientContext* context)
    : channel_(calls.channel()), link_(context), call_(channel_->StartCall(method, link_.ours())) {}

bool GrpcStream::Write(const google::protobuf::MessageLite& message, const grpc::WriteOptions& options) {
  return call_->Write(OutMessage(message), ToOurs(options));
}

bool GrpcStream::Read(google::protobuf::MessageLite* message) {
  if (!call_->Read(InMessage(message))) return false;
  link_.TakeInitialMetadata();
  return true;
}

void GrpcStream::WaitForInitialMetadata() {
  call_->WaitForInitialMetadata();
  link_.TakeInitialMetadata();
}

grpc::Status GrpcStream::Finish() { return link_.TakeEnd(call_->Finish()); }

grpc::Status GrpcStream::FinishWith(google::protobuf::MessageLite* response) {
  const bool answered = call_->Read(InMessage(response));
  absl::Status status = call_->Finish();
  if (status.ok() && !answered) {
    status = absl::InternalError("the server ended the call with OK but sent no response");
  }
  return link_.TakeEnd(status);
}

}  // namespace nearcall::internal
