// What interceptors and metrics add to a unary call on each side, without what carries the call: the channel behind them,
// and the server's engine before them, do nothing.
//
//   ./bazelw run //benchmarks/metrics:interception

#include <functional>
#include <memory>
#include <string>

#include "benchmark/benchmark.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/handlers.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "runtime/interceptors/intercepted_channel.h"
#include "runtime/interceptors/intercepting_handler.h"

namespace nearcall {
namespace {

using testing::Payload;

const internal::Method kMethod("/nearcall.testing.TestService/Echo", internal::MethodType::kUnary);

// Looks on at every call and does nothing.
class IdleListener final : public CallListener {
  void OnEnd(const absl::Status&, const CallTotals&) override {}
};
class IdleInterceptor final : public ClientInterceptor, public ServerInterceptor {
  std::unique_ptr<CallListener> OnCall(const MethodInfo&, ClientContext*) override {
    return std::make_unique<IdleListener>();
  }
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo&, ServerContext*) override {
    return std::make_unique<IdleListener>();
  }
};

// Answers every call at once.
class InstantChannel final : public Channel {
 public:
  const std::string& address() const override { return address_; }
  ConnectivityState GetState(bool) override { return ConnectivityState::kReady; }
  bool WaitForConnected(absl::Time) override { return true; }
  absl::Status UnaryCall(const internal::Method&, ClientContext* context, internal::OutMessage request,
                         internal::InMessage response) override {
    internal::ClientContextAccess::set_peer(context, peer_);
    benchmark::DoNotOptimize(request.ByteSize());
    response.Parse("", 0);
    return absl::OkStatus();
  }
  void UnaryCallAsync(const internal::Method&, ClientContext*, internal::OutMessage, internal::InMessage,
                      std::function<void(absl::Status)>) override {}
  std::unique_ptr<internal::ClientCall> StartCall(const internal::Method&, ClientContext*) override { return nullptr; }
  internal::CallWaker* StartCallAsync(const internal::Method&, ClientContext*,
                                      std::shared_ptr<internal::ClientDriver>) override {
    return nullptr;
  }

 private:
  const std::string address_ = "instant:";
  const std::shared_ptr<const Peer> peer_ = std::make_shared<const Peer>(Peer{"instant", "instant:", {}});
};

void Call(benchmark::State& state, std::vector<std::shared_ptr<ClientInterceptor>> interceptors) {
  const std::shared_ptr<Channel> channel = Intercept(std::make_shared<InstantChannel>(), interceptors);
  Payload request, response;
  request.set_data(std::string(64, 'x'));
  for (auto _ : state) {
    ClientContext context;
    benchmark::DoNotOptimize(channel->UnaryCall(kMethod, &context, request, &response).ok());
  }
}

// A call whose request is there and whose answer goes nowhere.
class InstantCall final : public internal::ServerCall {
 public:
  InstantCall() { internal::ServerContextAccess::Begin(&context_, this, &peer_, kMethod.name(), INT64_MAX); }
  ServerContext* context() override { return &context_; }
  bool Read(internal::InMessage message) override { return message.Parse("", 0); }
  bool Write(internal::OutMessage, WriteOptions) override { return true; }
  bool SendInitialMetadata() override { return true; }
  void Finish(const absl::Status&) override {}
  void FinishWithMessage(internal::OutMessage message) override { benchmark::DoNotOptimize(message.ByteSize()); }
  void TryCancel() override {}
  void StartDriving(std::shared_ptr<internal::ServerDriver>) override {}
  void Wake() override {}
  void WatchDeadline() override {}
  internal::Tried TryWrite(internal::OutMessage, WriteOptions) override { return internal::Tried::kOver; }
  internal::Tried TryRead(internal::InMessage) override { return internal::Tried::kOver; }
  internal::Tried TrySendInitialMetadata() override { return internal::Tried::kOver; }
  internal::Tried TryFinish(const absl::Status&, const internal::OutMessage*) override { return internal::Tried::kOver; }

 private:
  const Peer peer_{"instant", "instant:", {}};
  ServerContext context_;
};

class Echo {
 public:
  absl::Status Run(ServerContext*, const Payload*, Payload*) { return absl::OkStatus(); }
};

void Serve(benchmark::State& state, const ServerInterceptors& interceptors) {
  Echo echo;
  internal::UnaryHandler<Echo, Payload, Payload, &Echo::Run> handler(&echo);
  const std::unique_ptr<internal::MethodHandler> intercepting = Intercept(&handler, kMethod, &interceptors);
  internal::MethodHandler* const used = interceptors.empty() ? &handler : intercepting.get();
  InstantCall call;
  for (auto _ : state) used->Run(&call);
}

const auto idle = std::make_shared<IdleInterceptor>();
const Metrics metrics;

BENCHMARK_CAPTURE(Call, none, {});
BENCHMARK_CAPTURE(Call, idle, {idle});
BENCHMARK_CAPTURE(Call, metrics, {metrics.client_interceptor()});
BENCHMARK_CAPTURE(Serve, none, {});
BENCHMARK_CAPTURE(Serve, idle, {idle});
BENCHMARK_CAPTURE(Serve, metrics, {metrics.server_interceptor()});

}  // namespace
}  // namespace nearcall

BENCHMARK_MAIN();
