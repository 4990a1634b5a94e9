#include "runtime/transports/grpc/in_process.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/client_interceptor.h"

namespace nearcall::grpc_transport {
namespace {

struct Servers {
  absl::Mutex mu;
  std::map<std::string, grpc::Server*> by_target ABSL_GUARDED_BY(mu);
};

Servers& TheServers() {
  static Servers* const servers = new Servers;
  return *servers;
}

namespace experimental = grpc::experimental;
using Hook = experimental::InterceptionHookPoints;

// Ends a call that brings credentials before it begins.
class RefuseCredentials final : public experimental::Interceptor {
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_INITIAL_METADATA)) return methods->Hijack();
    if (methods->QueryInterceptionHookPoint(Hook::PRE_SEND_MESSAGE)) methods->FailHijackedSendMessage();
    if (methods->QueryInterceptionHookPoint(Hook::PRE_RECV_MESSAGE)) methods->FailHijackedRecvMessage();
    if (methods->QueryInterceptionHookPoint(Hook::PRE_RECV_STATUS)) {
      *methods->GetRecvStatus() = grpc::Status(
          grpc::StatusCode::UNAUTHENTICATED,
          "the credentials of a call are not carried inside this machine: leave ClientContext::set_credentials out, or "
          "send what they stand for as metadata");
    }
    methods->Proceed();
  }
};

class CredentialsGuard final : public experimental::ClientInterceptorFactoryInterface {
 public:
  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo* call) override {
    return call->client_context()->credentials() != nullptr ? new RefuseCredentials : nullptr;
  }
};

std::shared_ptr<grpc::Channel> GuardedChannel(grpc::Server* server) {
  std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>> guard;
  guard.push_back(std::make_unique<CredentialsGuard>());
  return server->experimental().InProcessChannelWithInterceptors(UnlimitedArguments(), std::move(guard));
}

}  // namespace

void RegisterInProcess(absl::string_view target, grpc::Server* server) {
  Servers& servers = TheServers();
  absl::MutexLock lock(&servers.mu);
  servers.by_target[std::string(target)] = server;
}

void UnregisterInProcess(absl::string_view target) {
  Servers& servers = TheServers();
  absl::MutexLock lock(&servers.mu);
  servers.by_target.erase(std::string(target));
}

std::shared_ptr<grpc::Channel> InProcessChannel(absl::string_view target) {
  Servers& servers = TheServers();
  absl::MutexLock lock(&servers.mu);
  const auto at = servers.by_target.find(std::string(target));
  return at == servers.by_target.end() ? nullptr : GuardedChannel(at->second);
}

grpc::ChannelArguments UnlimitedArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 64 * 1024);
  return arguments;
}

}  // namespace nearcall::grpc_transport
