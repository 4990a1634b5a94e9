#include "nearcall/health.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpc/health/v1/health.nearcall.h"
#include "grpc/health/v1/health.pb.h"
#include "nearcall/internal/server_extension.h"
#include "nearcall/server.h"
#include "nearcall/server_reactor.h"
#include "runtime/base/clock.h"
#include "runtime/base/parker.h"

namespace nearcall {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::health::v1::HealthListRequest;
using grpc::health::v1::HealthListResponse;

// The protocol's own limit.
constexpr size_t kMaxListed = 100;
// What a watcher gets to take its last message as the server shuts down. Those who read take no time.
constexpr absl::Duration kLastMessageGrace = absl::Milliseconds(100);

// The health service of one server: what was said of each name, and the calls that ask for it or watch it. A call that
// watches costs memory, and no thread.
//
// Threads: thread-safe.
class HealthExtension final : public HealthCheckService,
                              public internal::ServerExtension,
                              private Health::CallbackService {
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
  void OnDrain() override;

 private:
  class Watcher;

  // --- Health::CallbackService ---
  ServerUnaryReactor* Check(CallbackServerContext* context, const HealthCheckRequest* request,
                            HealthCheckResponse* response) override;
  ServerUnaryReactor* List(CallbackServerContext* context, const HealthListRequest* request,
                           HealthListResponse* response) override;
  ServerWriteReactor<HealthCheckResponse>* Watch(CallbackServerContext* context,
                                                 const HealthCheckRequest* request) override;

  void Set(const std::string& name, bool serving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void SetAll(bool serving) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const auto& [name, status] : statuses_) Set(name, serving);
  }

  absl::Mutex mu_;
  std::map<std::string, HealthCheckResponse::ServingStatus> statuses_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::set<Watcher*>> watchers_ ABSL_GUARDED_BY(mu_);  // no set is empty
  Waiters watcher_gone_ ABSL_GUARDED_BY(mu_);
  bool shut_down_ ABSL_GUARDED_BY(mu_) = false;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
};

// One call that watches a name. Of statuses that follow each other faster than they can be sent it sends the last.
//
// Threads: all of it is under the service's lock. Lifetime: its call's.
class HealthExtension::Watcher final : public ServerWriteReactor<HealthCheckResponse> {
 public:
  Watcher(HealthExtension* owner, CallbackServerContext* context, std::string name)
      : owner_(owner), context_(context), name_(std::move(name)) {}

  // Sends what the status is now, if the last one that was sent was another.
  void Update() {
    owner_->mu_.AssertHeld();
    if (writing_ || finished_) return;
    const auto at = owner_->statuses_.find(name_);
    const auto status = at == owner_->statuses_.end() ? HealthCheckResponse::SERVICE_UNKNOWN : at->second;
    const bool news = status != message_.status() || !began_;
    began_ = writing_ = true;
    message_.set_status(status);
    if (owner_->draining_) {
      Finish(news);
    } else if (news) {
      StartWrite(&message_);
    } else {
      writing_ = false;
    }
  }
  // Ends the call although its last message is not through.
  void GiveUp() { context_->TryCancel(); }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&owner_->mu_);
    writing_ = false;
    if (ok) Update();  // otherwise OnCancel comes
  }
  void OnCancel() override {
    absl::MutexLock lock(&owner_->mu_);
    if (!std::exchange(finished_, true)) ServerWriteReactor::Finish(absl::CancelledError("nobody watches any more"));
  }
  void OnDone() override {
    {
      absl::MutexLock lock(&owner_->mu_);
      const auto at = owner_->watchers_.find(name_);
      at->second.erase(this);
      if (at->second.empty()) owner_->watchers_.erase(at);
      owner_->watcher_gone_.NotifyAll();
    }
    delete this;
  }

 private:
  void Finish(bool with_message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(owner_->mu_) {
    finished_ = true;
    absl::Status status = absl::UnavailableError("the server is shutting down");
    if (with_message) {
      StartWriteAndFinish(&message_, WriteOptions(), std::move(status));
    } else {
      ServerWriteReactor::Finish(std::move(status));
    }
  }

  HealthExtension* const owner_;
  CallbackServerContext* const context_;
  const std::string name_;
  HealthCheckResponse message_;  // the last that was sent
  bool began_ ABSL_GUARDED_BY(owner_->mu_) = false;
  bool writing_ ABSL_GUARDED_BY(owner_->mu_) = false;
  bool finished_ ABSL_GUARDED_BY(owner_->mu_) = false;
};

void HealthExtension::Set(const std::string& name, bool serving) {
  statuses_[name] = serving && !shut_down_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  const auto at = watchers_.find(name);
  if (at == watchers_.end()) return;
  for (Watcher* watcher : at->second) watcher->Update();
}

void HealthExtension::OnDrain() {
  absl::MutexLock lock(&mu_);
  shut_down_ = draining_ = true;
  SetAll(false);
  for (const auto& [name, watchers] : watchers_) {
    for (Watcher* watcher : watchers) watcher->Update();  // those too whose name has no status
  }
  const int64_t deadline = MonotonicAfter(kLastMessageGrace);
  while (!watchers_.empty() && watcher_gone_.Wait(&mu_, deadline)) {
  }
  for (const auto& [name, watchers] : watchers_) {
    for (Watcher* watcher : watchers) watcher->GiveUp();
  }
}

ServerUnaryReactor* HealthExtension::Check(CallbackServerContext* context, const HealthCheckRequest* request,
                                           HealthCheckResponse* response) {
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    const auto at = statuses_.find(request->service());
    if (at == statuses_.end()) {
      status = absl::NotFoundError(absl::StrCat("this server does not know the service ", request->service()));
    } else {
      response->set_status(at->second);
    }
  }
  context->DefaultReactor()->Finish(std::move(status));
  return context->DefaultReactor();
}

ServerUnaryReactor* HealthExtension::List(CallbackServerContext* context, const HealthListRequest*,
                                          HealthListResponse* response) {
  absl::Status status;
  {
    absl::MutexLock lock(&mu_);
    if (statuses_.size() > kMaxListed) {
      status = absl::ResourceExhaustedError(
          absl::StrCat("there are ", statuses_.size(), " services, and a list has at most ", kMaxListed));
    } else {
      for (const auto& [name, one] : statuses_) (*response->mutable_statuses())[name].set_status(one);
    }
  }
  context->DefaultReactor()->Finish(std::move(status));
  return context->DefaultReactor();
}

ServerWriteReactor<HealthCheckResponse>* HealthExtension::Watch(CallbackServerContext* context,
                                                                const HealthCheckRequest* request) {
  auto* const watcher = new Watcher(this, context, request->service());
  absl::MutexLock lock(&mu_);
  watchers_[request->service()].insert(watcher);
  watcher->Update();
  return watcher;
}

}  // namespace

ServerBuilder& ServerBuilder::EnableHealthCheckService() {
  if (health_ != nullptr) return *this;
  auto extension = std::make_unique<HealthExtension>();
  health_ = extension.get();
  return AddExtension(std::move(extension));
}

}  // namespace nearcall
