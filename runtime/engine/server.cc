#include "nearcall/server.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/clock.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/transport.h"

namespace nearcall {
namespace {

// A running server: the listeners, and the core that they feed.
class RunningServer final : public Server {
 public:
  explicit RunningServer(const ServerOptions& options) : core_(options) {}
  ~RunningServer() override { Shutdown(); }

  ServerCore* core() { return &core_; }
  absl::Status Listen(const std::string& text, int* selected_port);
  void Start();

  const std::vector<std::string>& addresses() const override { return addresses_; }
  void Wait() override;
  void Shutdown() override { ShutdownBy(kNever); }
  void Shutdown(absl::Time deadline) override { ShutdownBy(MonotonicAt(deadline)); }

 private:
  enum class State { kNew, kServing, kDraining, kStopped };

  void ShutdownBy(int64_t deadline);
  // Waits until no call is open; false when `deadline` comes first.
  bool AwaitIdle(int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  ServerCore core_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::string> addresses_;

  absl::Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kNew;
  bool idle_ ABSL_GUARDED_BY(mu_) = false;
};

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
  addresses_.push_back((*listener)->address());
  if (selected_port != nullptr) *selected_port = (*listener)->port();
  listeners_.push_back(*std::move(listener));
  return absl::OkStatus();
}

void RunningServer::Start() {
  for (const std::unique_ptr<Listener>& listener : listeners_) listener->Start();
  core_.workers()->Start();
  absl::MutexLock lock(&mu_);
  state_ = State::kServing;
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
    core_.reactor()->Post([this] {
      for (const std::unique_ptr<Listener>& listener : listeners_) listener->Stop();
      core_.BeginDrain([this] {
        absl::MutexLock idle_lock(&mu_);
        idle_ = true;
      });
    });
    if (!AwaitIdle(deadline)) {
      core_.reactor()->Post([this] { core_.CancelCalls(); });
      AwaitIdle(kNever);
    }
    mu_.Unlock();
    core_.workers()->Stop();
    core_.reactor()->Clear();
    mu_.Lock();
    state_ = State::kStopped;
    return;
  }
  mu_.Await(absl::Condition(
      +[](State* state) { return *state == State::kStopped; }, &state_));
}

bool RunningServer::AwaitIdle(int64_t deadline) {
  const absl::Condition idle(&idle_);
  if (deadline == kNever) {
    mu_.Await(idle);
    return true;
  }
  return mu_.AwaitWithTimeout(idle, absl::Nanoseconds(deadline - MonotonicNanos()));
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
  auto server = std::make_unique<RunningServer>(options_);
  for (Service* service : services_) {
    if (absl::Status status = server->core()->AddService(*service); !status.ok()) return status;
  }
  for (const Port& port : ports_) {
    if (absl::Status status = server->Listen(port.address, port.selected_port); !status.ok()) return status;
  }
  server->Start();
  return server;
}

}  // namespace nearcall
