#include "runtime/transports/grpc/grpc_channel.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/support/client_callback.h"
#include "nearcall/delivery.h"
#include "nearcall/grpc.h"
#include "nearcall/internal/context_access.h"
#include "runtime/base/clock.h"
#include "runtime/base/fork.h"
#include "runtime/engine/call_start.h"
#include "runtime/engine/failed_call.h"
#include "runtime/engine/pending_call.h"
#include "runtime/transports/grpc/async_stream.h"
#include "runtime/transports/grpc/blocking_stream.h"
#include "runtime/transports/grpc/call_context.h"
#include "runtime/transports/grpc/convert.h"
#include "runtime/transports/grpc/runner.h"
#include "runtime/transports/grpc/target.h"

namespace nearcall::grpc_transport {
namespace {

using internal::ClientContextAccess;

// What a head may hold, base64 and gRPC's own pairs included.
constexpr int kMaxMetadataBytes = 64 * 1024;

// How long a call that found no server helps to connect, for those that follow.
constexpr absl::Duration kConnectingSpell = absl::Milliseconds(10);

// The rest of a unary call's way once gRPC has said how it ended.
absl::Status EndUnary(GrpcCallContext* call, const grpc::Status& ended, const grpc::ByteBuffer& bytes,
                      internal::InMessage response) {
  absl::Status status = call->TakeEnd(ended);
  if (status.ok() && !FromGrpc(bytes, response)) return UnreadableResponse();
  return status;
}

// A unary call with a callback.
struct PendingUnary {
  PendingUnary(ClientContext* c, const std::string& target, int64_t deadline) : context(c, target, deadline) {}

  GrpcCallContext context;
  grpc::ByteBuffer request;
  grpc::ByteBuffer bytes;
  internal::InMessage response;
  std::function<void(absl::Status)> done;
};

// See MakeGrpcChannel.
//
// Threads: thread-safe.
class ChannelOverGrpc final : public Channel, public std::enable_shared_from_this<ChannelOverGrpc> {
 public:
  ChannelOverGrpc(const Address& address, absl::Status unusable, std::shared_ptr<grpc::Channel> channel,
                  const ChannelOptions& options)
      : address_(address), unusable_(std::move(unusable)), channel_(std::move(channel)), options_(options) {}
  ~ChannelOverGrpc() override;

  bool inherited() const { return fork_generation_ != ForkGeneration(); }
  bool OnCallbackThread() const { return runner_.OnItsThread(); }

  const std::string& address() const override { return address_.text; }
  ConnectivityState GetState(bool try_to_connect) override;
  bool WaitForConnected(absl::Time deadline) override;
  absl::Status UnaryCall(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                         internal::InMessage response) override;
  void UnaryCallAsync(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                      internal::InMessage response, std::function<void(absl::Status)> done) override;
  std::unique_ptr<internal::ClientCall> StartCall(const internal::Method& method, ClientContext* context) override;
  internal::CallWaker* StartCallAsync(const internal::Method& method, ClientContext* context,
                                      std::shared_ptr<internal::ClientDriver> driver) override;

 private:
  // Whether a call may begin, and when it must be over.
  absl::Status Begin(const internal::Method& method, ClientContext* context, int64_t* deadline) const;
  // gRPC connects only while somebody waits: callers who try again and again would keep it from getting anywhere.
  void Connect(int64_t deadline);
  absl::Status CheckSize(size_t size) const {
    const int limit = options_.max_send_message_bytes;
    return FitsLimit(size, limit) ? absl::OkStatus() : TooLargeToSend(size, limit);
  }

  const Address address_;
  const absl::Status unusable_;
  const std::shared_ptr<grpc::Channel> channel_;  // nullptr if unusable
  const ChannelOptions options_;
  const uint32_t fork_generation_ = ForkGeneration();
  Runner runner_;

  absl::Mutex mu_;
  absl::flat_hash_set<PendingUnary*> open_ ABSL_GUARDED_BY(mu_);  // with callbacks
};

ChannelOverGrpc::~ChannelOverGrpc() {
  {
    absl::MutexLock lock(&mu_);
    for (PendingUnary* call : open_) call->context.Cancel(absl::CancelledError("the channel was destroyed"));
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return open_.empty(); };
    mu_.Await(absl::Condition(&none));
  }
  runner_.Stop();
}

ConnectivityState ChannelOverGrpc::GetState(bool try_to_connect) {
  if (inherited() || !unusable_.ok()) return ConnectivityState::kShutdown;
  switch (channel_->GetState(try_to_connect)) {
    case GRPC_CHANNEL_IDLE:
      return try_to_connect ? ConnectivityState::kConnecting : ConnectivityState::kIdle;
    case GRPC_CHANNEL_CONNECTING:
      return ConnectivityState::kConnecting;
    case GRPC_CHANNEL_READY:
      return ConnectivityState::kReady;
    case GRPC_CHANNEL_TRANSIENT_FAILURE:
      return ConnectivityState::kTransientFailure;
    case GRPC_CHANNEL_SHUTDOWN:
      break;
  }
  return ConnectivityState::kShutdown;
}

bool ChannelOverGrpc::WaitForConnected(absl::Time deadline) {
  return !inherited() && unusable_.ok() && channel_->WaitForConnected(ToGrpc(MonotonicAt(deadline)));
}

absl::Status ChannelOverGrpc::Begin(const internal::Method& method, ClientContext* context, int64_t* deadline) const {
  if (!ClientContextAccess::Begin(context)) return ContextUsedTwice();
  if (inherited()) return ChannelOfTheParent(address_.text);
  if (!unusable_.ok()) return unusable_;
  if (internal::AttachmentsAccess::outgoing(*context) != nullptr) return NoAttachments();
  *deadline = DeadlineOf(method, *context);
  return CheckCall(*context, method.name(), *deadline);
}

absl::Status ChannelOverGrpc::UnaryCall(const internal::Method& method, ClientContext* context,
                                        internal::OutMessage request, internal::InMessage response) {
  int64_t deadline = kNever;
  absl::Status status = Begin(method, context, &deadline);
  const size_t size = request.ByteSize();
  if (status.ok()) status = CheckSize(size);
  if (!status.ok()) return status;
  GrpcCallContext call(context, address_.rest, deadline);
  grpc::ByteBuffer bytes;
  const grpc::internal::RpcMethod rpc(method.name().data(), grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Status ended =
      grpc::internal::BlockingUnaryCall(channel_.get(), rpc, call.grpc(), ToGrpc(request, size), &bytes);
  status = EndUnary(&call, ended, bytes, response);
  if (SurelyNotSeen(status)) Connect(deadline);
  return status;
}

void ChannelOverGrpc::Connect(int64_t deadline) {
  const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
  if (state == GRPC_CHANNEL_READY) return;
  const int64_t until = std::min(deadline, MonotonicAfter(kConnectingSpell));
  channel_->WaitForStateChange(state, ToGrpc(until));
}

void ChannelOverGrpc::UnaryCallAsync(const internal::Method& method, ClientContext* context,
                                     internal::OutMessage request, internal::InMessage response,
                                     std::function<void(absl::Status)> done) {
  int64_t deadline = kNever;
  absl::Status status = Begin(method, context, &deadline);
  const size_t size = request.ByteSize();
  if (status.ok()) status = CheckSize(size);
  if (!status.ok()) {
    runner_.Post([done = std::move(done), status] { done(status); });
    return;
  }
  auto* const call = new PendingUnary(context, address_.rest, deadline);
  call->request = ToGrpc(request, size);
  call->response = response;
  call->done = std::move(done);
  {
    absl::MutexLock lock(&mu_);
    open_.insert(call);
  }
  const grpc::internal::RpcMethod rpc(method.name().data(), grpc::internal::RpcMethod::NORMAL_RPC);
  grpc::internal::CallbackUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel_.get(), rpc, call->context.grpc(), &call->request, &call->bytes, [this, call](grpc::Status ended) {
        // The channel waits for its open calls: it is there.
        runner_.Post([this, call, ended = std::move(ended)] {
          absl::Status result = EndUnary(&call->context, ended, call->bytes, call->response);
          call->context.Detach();
          call->done(std::move(result));
          call->done = nullptr;
          {
            absl::MutexLock lock(&mu_);
            open_.erase(call);
          }
          delete call;
        });
      });
}

std::unique_ptr<internal::ClientCall> ChannelOverGrpc::StartCall(const internal::Method& method,
                                                                 ClientContext* context) {
  int64_t deadline = kNever;
  if (absl::Status status = Begin(method, context, &deadline); !status.ok()) {
    return std::make_unique<FailedCall>(std::move(status));
  }
  return std::make_unique<GrpcBlockingStream>(shared_from_this(), channel_.get(), address_.rest, options_, method,
                                              context, deadline);
}

internal::CallWaker* ChannelOverGrpc::StartCallAsync(const internal::Method& method, ClientContext* context,
                                                     std::shared_ptr<internal::ClientDriver> driver) {
  int64_t deadline = kNever;
  if (absl::Status status = Begin(method, context, &deadline); !status.ok()) {
    return DriveFailedCall(std::move(driver), std::move(status));
  }
  auto* const stream =
      new GrpcAsyncStream(shared_from_this(), &runner_, address_.rest, options_, context, deadline, std::move(driver));
  stream->Start(channel_.get(), method);
  return stream;
}

int Milliseconds(absl::Duration span) {
  return static_cast<int>(std::clamp<int64_t>(absl::ToInt64Milliseconds(span), 1, INT32_MAX));
}

}  // namespace

std::shared_ptr<Channel> MakeGrpcChannel(const Address& address, std::shared_ptr<grpc::Channel> channel,
                                         const ChannelOptions& options) {
  return std::shared_ptr<Channel>(new ChannelOverGrpc(address, absl::OkStatus(), std::move(channel), options),
                                  &DeleteChannel<ChannelOverGrpc>);
}

std::shared_ptr<Channel> MakeGrpcChannel(const Address& address, const ChannelOptions& options) {
  const auto* const extra = dynamic_cast<const GrpcChannelOptions*>(options.transport.get());
  const bool near = StaysOnThisMachine(address.rest);
  grpc::ChannelArguments arguments = extra != nullptr ? extra->arguments : grpc::ChannelArguments();
  arguments.SetMaxReceiveMessageSize(options.max_receive_message_bytes);
  arguments.SetMaxSendMessageSize(-1);  // looked at before gRPC has the message
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(options.connect_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(options.initial_backoff));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options.max_backoff));
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a channel's connections are its own
  if (near) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);

  std::shared_ptr<grpc::ChannelCredentials> credentials = extra != nullptr ? extra->credentials : nullptr;
  absl::Status unusable;
  if (credentials == nullptr && near) credentials = grpc::InsecureChannelCredentials();
  std::shared_ptr<grpc::Channel> channel;
  if (credentials != nullptr) {
    channel = grpc::CreateCustomChannel(address.rest, credentials, arguments);
  } else {
    unusable = absl::FailedPreconditionError(
        absl::StrCat(address.text, " may leave this machine, and the channel has no credentials: set ",
                     "ChannelOptions::transport = nearcall::GrpcChannel(credentials), see nearcall/grpc.h ",
                     "(grpc::InsecureChannelCredentials() where the network is trusted)"));
  }
  return std::shared_ptr<Channel>(new ChannelOverGrpc(address, std::move(unusable), std::move(channel), options),
                                  &DeleteChannel<ChannelOverGrpc>);
}

}  // namespace nearcall::grpc_transport
