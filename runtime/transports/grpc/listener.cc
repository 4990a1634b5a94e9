#include "runtime/transports/grpc/listener.h"

#include <atomic>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "grpc/grpc.h"
#include "grpcpp/server_builder.h"
#include "nearcall/grpc.h"
#include "runtime/engine/session_options.h"
#include "runtime/transports/grpc/in_process.h"
#include "runtime/transports/grpc/target.h"

namespace nearcall::grpc_transport {
namespace {

constexpr int kMaxMetadataBytes = 64 * 1024;

// How long connections without calls have to say goodbye.
constexpr absl::Duration kFarewell = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> GrpcListener::Listen(const Address& address, ServerCore* core) {
  auto listener = std::make_unique<GrpcListener>(core);
  if (absl::Status status = listener->Bind(address); !status.ok()) return status;
  return std::unique_ptr<Listener>(std::move(listener));
}

absl::Status GrpcListener::Bind(const Address& address) {
  const ServerOptions& options = core_->options();
  const auto* const extra = dynamic_cast<const GrpcServerOptions*>(options.transport.get());
  std::shared_ptr<grpc::ServerCredentials> credentials = extra != nullptr ? extra->credentials : nullptr;
  in_process_ = absl::StartsWith(address.rest, kInProcessPrefix);
  if (credentials == nullptr && !in_process_) {
    if (!options.allow_remote && !StaysOnThisMachine(address.rest)) {
      return absl::PermissionDeniedError(absl::StrCat(
          address.text, " can be reached from other machines, and nothing is encrypted or authenticated: set ",
          "ServerOptions::transport = nearcall::GrpcServer(credentials), see nearcall/grpc.h, or ",
          "ServerOptions::allow_remote if that is wanted"));
    }
    credentials = grpc::InsecureServerCredentials();
  }
  grpc::ServerBuilder builder;
  if (!in_process_) builder.AddListeningPort(address.rest, credentials, &port_);
  builder.RegisterCallbackGenericService(this);
  builder.SetMaxReceiveMessageSize(options.max_receive_message_bytes);
  builder.SetMaxSendMessageSize(-1);                        // looked at before gRPC has the message
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // an address that is taken is an error
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_calls_per_connection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return WhyNotBound(address.rest);
  address_ = address.text;
  if (in_process_) {
    RegisterInProcess(address.rest, server_.get());
    return absl::OkStatus();
  }
  if (absl::EndsWith(address_, ":0")) {
    address_ = absl::StrCat(address_.substr(0, address_.size() - 1), port_);
  }
  std::string host, port;
  if (!SplitHostPort(address.rest, &host, &port)) port_ = 0;
  return absl::OkStatus();
}

GrpcListener::~GrpcListener() {
  if (in_process_) UnregisterInProcess(absl::StripPrefix(address_, "grpc:"));
  if (closing_.joinable()) {
    closing_.join();
  } else if (server_ != nullptr) {
    // It never started: nobody has been promised anything.
    std::vector<std::pair<GrpcServerCall*, std::string>> early;
    {
      absl::MutexLock lock(&mu_);
      state_ = State::kStopping;
      early.swap(early_);
    }
    for (auto& [call, method] : early) Begin(call, method);
    server_->Shutdown(gpr_now(GPR_CLOCK_MONOTONIC));
  }
}

void GrpcListener::Start() {
  std::vector<std::pair<GrpcServerCall*, std::string>> early;
  {
    absl::MutexLock lock(&mu_);
    state_ = State::kServing;
    early.swap(early_);
  }
  for (auto& [call, method] : early) Begin(call, method);
}

// --- Calls ---

grpc::ServerGenericBidiReactor* GrpcListener::CreateReactor(grpc::GenericCallbackServerContext* context) {
  auto* const call = new GrpcServerCall(core_, context, [this](GrpcServerCall* done) {
    absl::MutexLock lock(&mu_);
    calls_.erase(done);
  });
  {
    absl::MutexLock lock(&mu_);
    calls_.insert(call);
    if (state_ == State::kNew) {
      early_.emplace_back(call, context->method());
      return call;
    }
  }
  Begin(call, context->method());
  return call;
}

void GrpcListener::Begin(GrpcServerCall* call, const std::string& name) {
  {
    absl::MutexLock lock(&mu_);
    if (state_ == State::kStopping) {
      return call->Refuse(absl::UnavailableError("the server is shutting down"), /*surely_not_seen=*/true);
    }
  }
  // gRPC asks nobody before it accepts a connection: each call is asked about instead.
  if (const auto admission = core_->Admit(call->peer()); !admission.ok()) {
    return call->Refuse(admission.status(), /*surely_not_seen=*/true);
  }
  ServedMethod* method = core_->FindMethod(name);
  if (method == nullptr) method = core_->generic_method();
  if (method == nullptr) {
    return call->Refuse(absl::UnimplementedError(absl::StrCat("this server has no method ", name)), false);
  }
  if (const Quota* const lacking = core_->calls()->Take(1)) {
    return call->Refuse(TooManyCallsOnServer(*lacking), /*surely_not_seen=*/true);
  }
  call->Begin(method);
}

// --- Ending ---

void GrpcListener::Stop() {
  {
    absl::MutexLock lock(&mu_);
    if (std::exchange(state_, State::kStopping) == State::kStopping) return;
  }
  core_->OnCallBegun();  // the server is not idle until gRPC's is not
  closing_ = std::thread([this] {
    Close();
    core_->reactor()->Post([core = core_] { core->OnCallEnded(); });
  });
}

void GrpcListener::Close() {
  bool closed = false;
  absl::Mutex mu;
  // Asks clients to call elsewhere, and waits for their calls and connections to end.
  std::thread shutdown([&] {
    server_->Shutdown();
    absl::MutexLock lock(&mu);
    closed = true;
  });
  {
    const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return calls_.empty(); };
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(&none));
  }
  bool in_time;
  {
    absl::MutexLock lock(&mu);
    in_time = mu.AwaitWithTimeout(absl::Condition(&closed), kFarewell);
  }
  // What is left has no call: clients that do not look at their connections just now.
  if (!in_time) grpc_server_cancel_all_calls(server_->c_server());
  shutdown.join();
}

void GrpcListener::CancelCalls() {
  absl::MutexLock lock(&mu_);
  for (GrpcServerCall* call : calls_) call->Cancel(absl::CancelledError("the server is shutting down"));
}

}  // namespace nearcall::grpc_transport
