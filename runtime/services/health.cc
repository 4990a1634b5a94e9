#include "nearcall/health.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.nearcall.h"
#include "grpc/health/v1/health.pb.h"
#include "nearcall/internal/server_extension.h"
#include "nearcall/server.h"

namespace nearcall {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::health::v1::HealthListRequest;
using grpc::health::v1::HealthListResponse;

// The protocol's own limit.
constexpr size_t kMaxListed = 100;

// The health service of one server: what was said of each name, and the calls that ask for it.
//
// Threads: thread-safe.
class HealthExtension final : public HealthCheckService, public internal::ServerExtension, private Health::Service {
 public:
  // --- HealthCheckService ---
  void SetServingStatus(const std::string& service_name, bool serving) override {
    absl::MutexLock lock(&mu_);
    Set(service_name, serving);
  }
  void SetServingStatus(bool serving) override {
    absl::MutexLock lock(&mu_);
    SetAll(serving);
  }
  void Shutdown() override {
    absl::MutexLock lock(&mu_);
    shut_down_ = true;
    SetAll(false);
  }

  // --- internal::ServerExtension ---
  std::vector<nearcall::Service*> services() override { return {this}; }
  void OnStart(const std::vector<std::string>& services) override {
    absl::MutexLock lock(&mu_);
    Set("", true);
    for (const std::string& service : services) Set(service, true);
  }
  void OnDrain() override { Shutdown(); }

 private:
  // --- Health::Service ---
  absl::Status Check(ServerContext*, const HealthCheckRequest* request, HealthCheckResponse* response) override;
  absl::Status List(ServerContext*, const HealthListRequest*, HealthListResponse* response) override;

  void Set(const std::string& name, bool serving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    statuses_[name] = serving && !shut_down_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }
  void SetAll(bool serving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const auto& [name, status] : statuses_) Set(name, serving);
  }

  absl::Mutex mu_;
  std::map<std::string, HealthCheckResponse::ServingStatus> statuses_ ABSL_GUARDED_BY(mu_);
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
};

absl::Status HealthExtension::Check(ServerContext*, const HealthCheckRequest* request, HealthCheckResponse* response) {
  absl::MutexLock lock(&mu_);
  const auto at = statuses_.find(request->service());
  if (at == statuses_.end()) {
    return absl::NotFoundError(absl::StrCat("this server does not know the service ", request->service()));
  }
  response->set_status(at->second);
  return absl::OkStatus();
}

absl::Status HealthExtension::List(ServerContext*, const HealthListRequest*, HealthListResponse* response) {
  absl::MutexLock lock(&mu_);
  if (statuses_.size() > kMaxListed) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", statuses_.size(), " services, and a list has at most ", kMaxListed));
  }
  for (const auto& [name, status] : statuses_) (*response->mutable_statuses())[name].set_status(status);
  return absl::OkStatus();
}

}  // namespace

ServerBuilder& ServerBuilder::EnableHealthCheckService() {
  if (health_ != nullptr) return *this;
  auto extension = std::make_unique<HealthExtension>();
  health_ = extension.get();
  return AddExtension(std::move(extension));
}

}  // namespace nearcall
