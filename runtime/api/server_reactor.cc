#include "nearcall/server_reactor.h"

#include <utility>

#include "nearcall/internal/handlers.h"

namespace nearcall {
namespace {

// The driver that the calling thread is in the middle of: its call need not be woken.
thread_local const internal::ServerReactorDriver* driving = nullptr;

// The reactor of a method that has its answer ready, or will have it somewhere else.
class DefaultServerReactor final : public ServerUnaryReactor {
 public:
  void OnDone() override {}  // the context's
};

}  // namespace

ServerUnaryReactor* ServerContext::DefaultReactor() {
  if (default_reactor_ == nullptr) default_reactor_ = std::make_shared<DefaultServerReactor>();
  return default_reactor_.get();
}

namespace internal {

// --- The operations ---

void ServerReactorDriver::WakeCall() {
  if (call_ != nullptr && driving != this) call_->Wake();
}

void ServerReactorDriver::StartSendInitialMetadata() {
  MutexLock lock(&mu_);
  pending_.metadata = true;
  WakeCall();
}

void ServerReactorDriver::StartRead(InMessage message) {
  MutexLock lock(&mu_);
  pending_.read = true;
  pending_.read_to = message;
  WakeCall();
}

void ServerReactorDriver::StartWrite(OutMessage message, WriteOptions options) {
  MutexLock lock(&mu_);
  pending_.write = true;
  pending_.to_write = message;
  pending_.write_options = options;
  WakeCall();
}

void ServerReactorDriver::StartWriteAndFinish(OutMessage message, WriteOptions options, absl::Status status) {
  MutexLock lock(&mu_);
  pending_.write = pending_.write_is_silent = pending_.finish = true;
  pending_.to_write = message;
  pending_.write_options = options;
  pending_.status = std::move(status);
  WakeCall();
}

void ServerReactorDriver::Finish(absl::Status status) {
  MutexLock lock(&mu_);
  pending_.finish = true;
  pending_.status = std::move(status);
  WakeCall();
}

// --- The call ---

void ServerReactorDriver::Bind(ServerCall* call, std::shared_ptr<void> messages, absl::optional<OutMessage> response) {
  messages_ = std::move(messages);
  response_ = response;
  {
    MutexLock lock(&mu_);
    call_ = call;
  }
  call->StartDriving(shared_from_this());
}

ServerReactorDriver::Pending ServerReactorDriver::Snapshot() {
  MutexLock lock(&mu_);
  return pending_;
}

template <class Reaction>
void ServerReactorDriver::React(const Reaction& reaction) {
  const absl::Status thrown = RunCatching([&] {
    reaction();
    return absl::OkStatus();
  });
  if (thrown.ok()) return;
  MutexLock lock(&mu_);
  if (std::exchange(pending_.finish, true)) return;
  pending_.status = thrown;
}

bool ServerReactorDriver::Drive() {
  const ServerReactorDriver* const outer = std::exchange(driving, this);
  while (Advance()) {
  }
  bool over = false;
  const Pending todo = Snapshot();
  if (todo.finish && !todo.write) {
    const bool answers = todo.status.ok() && response_.has_value();
    if (driven_call()->TryFinish(todo.status, answers ? &*response_ : nullptr) != Tried::kNotYet) {
      MutexLock lock(&mu_);
      call_ = nullptr;
      over = true;
    }
  }
  if (over && Snapshot().read) React([this] { reactor_->OnReadDone(false); });
  driving = outer;
  return over;
}

bool ServerReactorDriver::Advance() {
  if (!cancel_told_ && driven_call()->context()->IsCancelled()) {
    cancel_told_ = true;
    React([this] { reactor_->OnCancel(); });
    return true;
  }
  const Pending todo = Snapshot();
  bool advanced = false;
  if (todo.metadata) {
    const Tried tried = driven_call()->TrySendInitialMetadata();
    if (tried != Tried::kNotYet) {
      {
        MutexLock lock(&mu_);
        pending_.metadata = false;
      }
      React([&] { reactor_->OnSendInitialMetadataDone(tried == Tried::kDone); });
      advanced = true;
    }
  }
  if (todo.write) {
    const Tried tried = driven_call()->TryWrite(todo.to_write, todo.write_options);
    if (tried != Tried::kNotYet) {
      {
        MutexLock lock(&mu_);
        pending_.write = false;
      }
      if (!todo.write_is_silent) React([&] { reactor_->OnWriteDone(tried == Tried::kDone); });
      advanced = true;
    }
  }
  if (todo.read) {
    const Tried tried = driven_call()->TryRead(todo.read_to);
    if (tried != Tried::kNotYet) {
      {
        MutexLock lock(&mu_);
        pending_.read = false;
      }
      React([&] { reactor_->OnReadDone(tried == Tried::kDone); });
      advanced = true;
    }
  }
  return advanced;
}

void ServerReactorDriver::OnDone() {
  // The messages go with the call, also where the reactor stays for a while.
  const std::shared_ptr<void> messages = std::move(messages_);
  // The caller has its answer: there is nobody to tell of an exception.
  RunCatching([this] {
    reactor_->OnDone();
    return absl::OkStatus();
  }).IgnoreError();
}

}  // namespace internal
}  // namespace nearcall
