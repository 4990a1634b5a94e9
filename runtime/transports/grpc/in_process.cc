#include "runtime/transports/grpc/in_process.h"

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

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
  return at == servers.by_target.end() ? nullptr : at->second->InProcessChannel(UnlimitedArguments());
}

grpc::ChannelArguments UnlimitedArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 64 * 1024);
  return arguments;
}

}  // namespace nearcall::grpc_transport
