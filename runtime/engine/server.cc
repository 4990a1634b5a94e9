#include "nearcall/server.h"

#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/internal/callback_handlers.h"
#include "runtime/base/clock.h"
#include "runtime/base/parker.h"
#include "runtime/base/signals.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/transport.h"
#include "runtime/interceptors/intercepting_handler.h"

namespace nearcall {
namespace {

// "/package.Service/Method" without the method.
std::string ServiceName(absl::string_view method) { return std::string(method.substr(1, method.rfind('/') - 1)); }

// A running server: the listeners, and the core that they feed.
class RunningServer final : public Server {
 public:
  RunningServer(const ServerOptions& options, ServerInterceptors interceptors,
                std::vector<std::unique_ptr<internal::ServerExtension>> extensions, HealthCheckService* health)
      : interceptors_(std::move(interceptors)), extensions_(std::move(extensions)), health_(health), core_(options) {}
  ~RunningServer() override {
    signals_ = nullptr;
    for (std::thread& thread : signal_threads_) thread.join();
    Shutdown();
  }

  // Serves the user's services and the extensions'.
  absl::Status AddServices(const std::vector<Service*>& services);
  // What serves the methods that no service has.
  void SetGenericHandler(std::unique_ptr<internal::MethodHandler> handler);
  absl::Status Listen(const std::string& text, int* selected_port);
  absl::Status Start();

  const std::vector<std::string>& addresses() const override { return addresses_; }
  void Wait() override;
  void Shutdown() override { ShutdownBy(kNever); }
  void Shutdown(absl::Time deadline) override { ShutdownBy(MonotonicAt(deadline)); }
  absl::Status ShutdownOnSignals(const std::vector<int>& signals, absl::Duration grace) override;
  HealthCheckService* GetHealthCheckService() override { return health_; }

 private:
  // How long the last answers have to find room in the carrier once the deadline of a shutdown has passed.
  static constexpr int64_t kLastWordsNanos = 100'000'000;

  enum class State { kNew, kServing, kDraining, kStopping, kStopped };

  void ShutdownBy(int64_t deadline);
  // What serves a method.
  internal::MethodHandler* HandlerOf(const Service::Entry& entry);
  // Waits until no call is open; false when `deadline` comes first.
  // False: it was not so in time.
  bool Await(const bool* condition, int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // They outlive the core, which calls them.
  const ServerInterceptors interceptors_;
  const std::vector<std::unique_ptr<internal::ServerExtension>> extensions_;
  std::vector<std::unique_ptr<internal::MethodHandler>> intercepting_;
  std::unique_ptr<internal::MethodHandler> generic_;
  HealthCheckService* const health_;
  std::set<std::string> service_names_;
  ServerCore core_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::string> addresses_;

  std::vector<std::thread> signal_threads_;  // the signals' thread adds them, as long as there are signals_
  std::unique_ptr<SignalSubscription> signals_;

  absl::Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kNew;
  Waiters changed_ ABSL_GUARDED_BY(mu_);        // idle_ or all_sent_
  bool idle_ ABSL_GUARDED_BY(mu_) = false;      // no call is open any more
  bool all_sent_ ABSL_GUARDED_BY(mu_) = false;  // and every answer is out
};

absl::Status RunningServer::AddServices(const std::vector<Service*>& services) {
  std::vector<Service*> all = services;
  for (const auto& extension : extensions_) {
    for (Service* service : extension->services()) all.push_back(service);
  }
  for (const Service* service : all) {
    const auto handler_of = [this](const Service::Entry& entry) { return HandlerOf(entry); };
    if (absl::Status status = core_.AddService(*service, handler_of); !status.ok()) return status;
    for (const Service::Entry& entry : service->entries()) service_names_.insert(ServiceName(entry.method->name()));
  }
  return absl::OkStatus();
}

void RunningServer::SetGenericHandler(std::unique_ptr<internal::MethodHandler> handler) {
  static constexpr char kAnyName[] = "";
  static const internal::Method any(kAnyName, internal::MethodType::kBidiStreaming);
  generic_ = std::move(handler);
  if (!interceptors_.empty()) intercepting_.push_back(Intercept(generic_.get(), any, &interceptors_));
  core_.SetGenericHandler(interceptors_.empty() ? generic_.get() : intercepting_.back().get());
}

internal::MethodHandler* RunningServer::HandlerOf(const Service::Entry& entry) {
  if (interceptors_.empty()) return entry.handler.get();
  intercepting_.push_back(Intercept(entry.handler.get(), *entry.method, &interceptors_));
  return intercepting_.back().get();
}

absl::Status RunningServer::Listen(const std::string& text, int* selected_port) {
  absl::StatusOr<Address> address = ParseAddress(text);
  if (!address.ok()) return address.status();
  absl::StatusOr<Transport*> transport = FindTransport(*address);
  if (!transport.ok()) return transport.status();
  if (absl::Status check = (*transport)->Check(*address); !check.ok()) return check;
  if (selected_port != nullptr) *selected_port = 0;
  for (const std::unique_ptr<Listener>& listener : listeners_) {
    absl::StatusOr<bool> absorbed = listener->Absorb(*address);
    if (!absorbed.ok()) return absorbed.status();
    if (*absorbed) {
      addresses_.push_back(text);
      return absl::OkStatus();
    }
  }
  absl::StatusOr<std::unique_ptr<Listener>> listener = (*transport)->Listen(*address, &core_);
  if (!listener.ok()) return listener.status();
  for (std::string& where : (*listener)->addresses()) addresses_.push_back(std::move(where));
  if (selected_port != nullptr) *selected_port = (*listener)->port();
  listeners_.push_back(*std::move(listener));
  return absl::OkStatus();
}

absl::Status RunningServer::Start() {
  if (absl::Status status = core_.reactor()->Open(); !status.ok()) return status;
  const std::vector<std::string> names(service_names_.begin(), service_names_.end());
  for (const auto& extension : extensions_) extension->OnStart(names);
  for (const std::unique_ptr<Listener>& listener : listeners_) listener->Start();
  if (absl::Status status = core_.workers()->Start(); !status.ok()) {
    for (const std::unique_ptr<Listener>& listener : listeners_) listener->Stop();
    core_.reactor()->Clear();
    return status;
  }
  absl::MutexLock lock(&mu_);
  state_ = State::kServing;
  return absl::OkStatus();
}

void RunningServer::Wait() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(
      +[](State* state) { return *state == State::kStopped; }, &state_));
}

void RunningServer::ShutdownBy(int64_t deadline) {
  absl::MutexLock lock(&mu_);
  if (state_ == State::kNew) return;
  if (state_ == State::kServing) {
    state_ = State::kDraining;
    mu_.Unlock();
    for (const auto& extension : extensions_) extension->OnDrain();
    core_.reactor()->Post([this] {
      for (const std::unique_ptr<Listener>& listener : listeners_) listener->Stop();
      core_.BeginDrain([this](bool all_sent) {
        absl::MutexLock idle_lock(&mu_);
        idle_ = true;
        all_sent_ = all_sent;
        changed_.NotifyAll();
      });
    });
    mu_.Lock();
  }
  if (!Await(&idle_, deadline)) {
    core_.reactor()->Post([this] {
      core_.CancelCalls();
      for (const std::unique_ptr<Listener>& listener : listeners_) listener->CancelCalls();
    });
    Await(&idle_, kNever);
  }
  // What the calls came to is on its way; whoever does not read it holds nobody up for long.
  Await(&all_sent_, std::max(deadline, MonotonicNanos() + kLastWordsNanos));
  if (state_ == State::kDraining) {  // the first who sees the calls gone puts the lights out
    state_ = State::kStopping;
    mu_.Unlock();
    core_.workers()->Stop();
    core_.reactor()->Clear();
    mu_.Lock();
    state_ = State::kStopped;
    all_sent_ = true;  // all that ever will be
    changed_.NotifyAll();
  }
  mu_.Await(absl::Condition(
      +[](State* state) { return *state == State::kStopped; }, &state_));
}

absl::Status RunningServer::ShutdownOnSignals(const std::vector<int>& signals, absl::Duration grace) {
  const auto on_signal = [this, grace](int) {
    // The first signal gives the grace, each further one ends it. Not on the signals' thread, which others need.
    const absl::Duration patience = signal_threads_.empty() ? grace : absl::ZeroDuration();
    signal_threads_.emplace_back(
        [this, patience] { ShutdownBy(patience == absl::InfiniteDuration() ? kNever : MonotonicAfter(patience)); });
  };
  absl::StatusOr<std::unique_ptr<SignalSubscription>> subscription = SignalSubscription::Make(signals, on_signal);
  if (!subscription.ok()) return subscription.status();
  signals_ = *std::move(subscription);
  return absl::OkStatus();
}

bool RunningServer::Await(const bool* condition, int64_t deadline) {
  while (!*condition && changed_.Wait(&mu_, deadline)) {
  }
  return *condition;
}

}  // namespace

ServerBuilder::ServerBuilder() = default;
ServerBuilder::~ServerBuilder() = default;

ServerBuilder& ServerBuilder::AddListeningPort(const std::string& address, int* selected_port) {
  ports_.push_back(Port{address, selected_port});
  return *this;
}

ServerBuilder& ServerBuilder::RegisterService(Service* service) {
  services_.push_back(service);
  return *this;
}

ServerBuilder& ServerBuilder::RegisterGenericService(GenericService* service) {
  generic_ =
      std::make_unique<internal::BidiStreamingHandler<GenericService, std::string, std::string, &GenericService::Call>>(
          service);
  return *this;
}

ServerBuilder& ServerBuilder::RegisterCallbackGenericService(CallbackGenericService* service) {
  generic_ = std::make_unique<internal::CallbackBidiStreamingHandler<CallbackGenericService, std::string, std::string,
                                                                     &CallbackGenericService::CreateReactor>>(service);
  return *this;
}

ServerBuilder& ServerBuilder::AddInterceptor(std::shared_ptr<ServerInterceptor> interceptor) {
  interceptors_.push_back(std::move(interceptor));
  return *this;
}

ServerBuilder& ServerBuilder::AddExtension(std::unique_ptr<internal::ServerExtension> extension) {
  extensions_.push_back(std::move(extension));
  return *this;
}

ServerBuilder& ServerBuilder::SetOptions(const ServerOptions& options) {
  options_ = options;
  return *this;
}

ServerBuilder& ServerBuilder::SetMaxReceiveMessageSize(int bytes) {
  options_.max_receive_message_bytes = bytes;
  return *this;
}

absl::StatusOr<std::unique_ptr<Server>> ServerBuilder::BuildAndStart() {
  if (ports_.empty()) return absl::InvalidArgumentError("the server has no address: call AddListeningPort");
  auto server = std::make_unique<RunningServer>(options_, interceptors_, std::move(extensions_), health_);
  if (absl::Status status = server->AddServices(services_); !status.ok()) return status;
  if (generic_ != nullptr) server->SetGenericHandler(std::move(generic_));
  for (const Port& port : ports_) {
    if (absl::Status status = server->Listen(port.address, port.selected_port); !status.ok()) return status;
  }
  if (absl::Status status = server->Start(); !status.ok()) return status;
  return server;
}

}  // namespace nearcall
