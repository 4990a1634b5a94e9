#include "nearcall/channel.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/delivery.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/mutex.h"
#include "runtime/base/clock.h"
#include "runtime/base/fork.h"
#include "runtime/base/parker.h"
#include "runtime/engine/async_caller.h"
#include "runtime/engine/call_start.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/failed_call.h"
#include "runtime/engine/lent_buffers.h"
#include "runtime/engine/reactor.h"
#include "runtime/engine/replaceable.h"
#include "runtime/engine/transport.h"
#include "runtime/interceptors/intercepted_channel.h"

namespace nearcall {
namespace {

using internal::ClientContextAccess;

// For a call that cannot begin: its callback must not run inside the call.
void CallBackElsewhere(std::function<void(absl::Status)> done, const absl::Status& status) {
  std::thread([done = std::move(done), status] { done(status); }).detach();
}

bool IsPast(int64_t deadline) { return deadline != kNever && MonotonicNanos() >= deadline; }

// Wakes those who wait under `mu` when the call is cancelled.
class WakeOnCancel final : private internal::Cancellable {
 public:
  // Not under `mu`.
  WakeOnCancel(ClientContext* context, absl::Mutex* mu, Waiters* waiters)
      : context_(context), mu_(mu), waiters_(waiters) {
    ClientContextAccess::AddSleeper(context_, this);
  }
  ~WakeOnCancel() { ClientContextAccess::RemoveSleeper(context_, this); }

 private:
  void OnCancel() override {
    absl::MutexLock lock(mu_);
    waiters_->NotifyAll();
  }

  ClientContext* const context_;
  absl::Mutex* const mu_;
  Waiters* const waiters_;
};

// A channel over one connection at a time, made on first use and again when it is lost.
class ConnectingChannel final : public Channel, public std::enable_shared_from_this<ConnectingChannel> {
 public:
  // With `unusable` other than OK the address can never work, and every call says so.
  ConnectingChannel(Address address, absl::Status unusable, Transport* transport, const ChannelOptions& options)
      : address_(std::move(address)),
        unusable_(std::move(unusable)),
        transport_(transport),
        options_(options),
        reactor_(options.spin),
        backoff_(options.initial_backoff),
        async_(
            &reactor_, [this] { return LooksReady(); },
            [this](AsyncCall* call) { return Connection(call->context(), call->deadline()); }, &MayRetry) {
    reactor_.set_on_unsent([this] { async_.KeepPolling(); });
  }

  // Whether this is a forked child's copy: its threads are not there, its connection is the parent's.
  bool inherited() const { return fork_generation_ != ForkGeneration(); }

  bool OnCallbackThread() const { return async_.OnItsThread(); }

  absl::StatusOr<Buffer> AllocateBuffer(size_t size) override {
    if (inherited()) return ChannelOfTheParent(address_.text);
    const std::shared_ptr<ClientConnection> connection = connection_.Get();
    return connection != nullptr ? connection->AllocateBuffer(size) : MakeSharedBuffer(size);
  }

  ~ConnectingChannel() override {
    async_.Stop();
    if (const std::shared_ptr<ClientConnection> connection = connection_.Get()) connection->Close();
  }

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
  // How often one call is made again, each time only because it was surely not seen.
  static constexpr int kMaxTransparentRetries = 3;

  // The connection for a call: the one that is there, or a new one.
  absl::StatusOr<std::shared_ptr<ClientConnection>> Connection(ClientContext* context, int64_t deadline);
  // Cancelling `context` ends the wait.
  absl::StatusOr<std::shared_ptr<ClientConnection>> Connect(ClientContext* context, int64_t deadline);
  // The connection if new calls may be made on it, else nullptr; one that is of no use any more is let go.
  std::shared_ptr<ClientConnection> Usable() {
    std::shared_ptr<ClientConnection> connection = connection_.Get();
    if (connection == nullptr || connection->usable()) return connection;
    connection_.Drop(connection.get());
    return nullptr;
  }
  // Whether there is one, as far as a look can tell.
  bool LooksReady() {
    reactor_.PeekIfQuiet();
    return Usable() != nullptr;
  }
  // One attempt to connect, with mu_ given up meanwhile.
  absl::Status Dial(int64_t deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Of a method that may run twice, a call that the server may have seen is made again, too.
  static bool MayRetry(const internal::Method& method, const CallOutcome& outcome, int attempts) {
    if (!absl::IsUnavailable(outcome.status) || attempts >= kMaxTransparentRetries) return false;
    return outcome.may_retry || (outcome.lost && method.traits().idempotent);
  }

  static CallOutcome Call(ClientConnection* connection, const internal::Method& method, ClientContext* context,
                          internal::OutMessage request, internal::InMessage response, int64_t deadline) {
    return method.traits().one_way ? connection->OneWay(method, context, request, deadline)
                                   : connection->Unary(method, context, request, response, deadline);
  }
  // Makes a call on the connection that is there. False: there is none of use, or the deadline has passed.
  bool CallAtOnce(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                  internal::InMessage response, int64_t deadline, CallOutcome* outcome) {
    if (IsPast(deadline)) return false;
    const Replaceable<ClientConnection>::Use connection(&connection_);
    if (connection.get() == nullptr || !connection.get()->usable()) return false;
    ClientContextAccess::set_peer(context, connection.get()->peer());
    *outcome = Call(connection.get(), method, context, request, response, deadline);
    return true;
  }

  // Whether an asynchronous call may begin: its context is new.
  static absl::Status BeginAsync(const internal::Method& method, ClientContext* context, int64_t* deadline);

  const Address address_;
  const absl::Status unusable_;
  Transport* const transport_;
  const ChannelOptions options_;
  const uint32_t fork_generation_ = ForkGeneration();
  Reactor reactor_;

  Replaceable<ClientConnection> connection_;

  absl::Mutex mu_;
  Waiters waiters_ ABSL_GUARDED_BY(mu_);  // for a change of dialing_, or their cancellation
  bool dialing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status last_failure_ ABSL_GUARDED_BY(mu_);
  int64_t next_attempt_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Duration backoff_ ABSL_GUARDED_BY(mu_);
  absl::BitGen random_ ABSL_GUARDED_BY(mu_);

  AsyncCaller async_;
};

absl::StatusOr<std::shared_ptr<ClientConnection>> ConnectingChannel::Connection(ClientContext* context,
                                                                                int64_t deadline) {
  if (IsPast(deadline)) return absl::DeadlineExceededError("the deadline had passed before the call began");
  if (std::shared_ptr<ClientConnection> usable = Usable()) {
    ClientContextAccess::set_peer(context, usable->peer());
    return usable;
  }
  absl::StatusOr<std::shared_ptr<ClientConnection>> connection = Connect(context, deadline);
  if (connection.ok()) ClientContextAccess::set_peer(context, (*connection)->peer());
  return connection;
}

absl::StatusOr<std::shared_ptr<ClientConnection>> ConnectingChannel::Connect(ClientContext* context, int64_t deadline) {
  if (!unusable_.ok()) return unusable_;
  PollerRole::HandOffLease();  // this may block, in a handler too
  const bool wait_for_ready = context->wait_for_ready();
  const auto cancelled = [context] { return ClientContextAccess::cancelled(*context); };
  const WakeOnCancel wake(context, &mu_, &waiters_);
  absl::MutexLock lock(&mu_);
  for (;;) {
    if (cancelled()) return absl::CancelledError("the caller cancelled the call");
    if (std::shared_ptr<ClientConnection> usable = Usable()) return usable;
    const int64_t now = MonotonicNanos();
    if (now >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("no connection to ", address_.text, " before the deadline",
                       last_failure_.ok() ? "" : absl::StrCat("; the last attempt said: ", last_failure_.message())));
    }
    if (dialing_) {
      while (dialing_ && !cancelled() && waiters_.Wait(&mu_, deadline)) {
      }
      if (!dialing_ && !last_failure_.ok() && !wait_for_ready) return last_failure_;
      continue;
    }
    if (now < next_attempt_) {
      if (!wait_for_ready) return last_failure_;
      const int64_t until = std::min(deadline, next_attempt_);
      while (!dialing_ && !cancelled() && waiters_.Wait(&mu_, until)) {
      }
      continue;
    }
    absl::Status dialed = Dial(deadline);
    if (dialed.ok() || absl::IsDeadlineExceeded(dialed)) continue;
    if (!wait_for_ready || !absl::IsUnavailable(dialed)) return dialed;
  }
}

absl::Status ConnectingChannel::Dial(int64_t deadline) {
  dialing_ = true;
  waiters_.NotifyAll();
  mu_.Unlock();
  const int64_t attempt_ends = MonotonicAfter(options_.connect_timeout);
  DialOptions dial{&options_, &reactor_, std::min(deadline, attempt_ends)};
  absl::StatusOr<std::shared_ptr<ClientConnection>> connection = nullptr;
  if (absl::Status opened = reactor_.Open(); opened.ok()) {
    connection = transport_->Dial(address_, dial);
  } else {
    connection = absl::Status(opened.code(), absl::StrCat(address_.text, ": ", opened.message()));
  }
  mu_.Lock();
  dialing_ = false;
  waiters_.NotifyAll();
  if (connection.ok()) {
    connection_.Set(*std::move(connection));
    last_failure_ = absl::OkStatus();
    backoff_ = options_.initial_backoff;
    next_attempt_ = 0;
    return absl::OkStatus();
  }
  if (deadline < attempt_ends && MonotonicNanos() >= deadline) {
    // The caller's deadline cut the attempt short: that says nothing about the server.
    return absl::DeadlineExceededError(connection.status().message());
  }
  last_failure_ = connection.status();
  if (absl::IsUnavailable(last_failure_)) SetDelivery(&last_failure_, /*maybe_seen=*/false);
  const double jitter = absl::Uniform(random_, 0.8, 1.2);
  next_attempt_ = MonotonicNanos() + absl::ToInt64Nanoseconds(backoff_ * jitter);
  backoff_ = std::min(backoff_ * 1.6, options_.max_backoff);
  return last_failure_;
}

ConnectivityState ConnectingChannel::GetState(bool try_to_connect) {
  if (inherited() || !unusable_.ok()) return ConnectivityState::kShutdown;
  if (LooksReady()) return ConnectivityState::kReady;
  absl::MutexLock lock(&mu_);
  if (dialing_) return ConnectivityState::kConnecting;
  if (try_to_connect && MonotonicNanos() >= next_attempt_) {
    std::thread([self = shared_from_this()] {
      ClientContext context;
      self->Connect(&context, MonotonicAfter(self->options_.connect_timeout)).IgnoreError();
    }).detach();
    return ConnectivityState::kConnecting;
  }
  return last_failure_.ok() ? ConnectivityState::kIdle : ConnectivityState::kTransientFailure;
}

bool ConnectingChannel::WaitForConnected(absl::Time deadline) {
  ClientContext context;
  context.set_wait_for_ready(true);
  return !inherited() && (LooksReady() || Connect(&context, MonotonicAt(deadline)).ok());
}

absl::Status ConnectingChannel::UnaryCall(const internal::Method& method, ClientContext* context,
                                          internal::OutMessage request, internal::InMessage response) {
  if (!ClientContextAccess::Begin(context)) return ContextUsedTwice();
  if (inherited()) return ChannelOfTheParent(address_.text);
  const int64_t deadline = DeadlineOf(method, *context);
  for (int attempts = 0;; ++attempts) {
    if (ClientContextAccess::cancelled(*context)) return absl::CancelledError("the caller cancelled the call");
    CallOutcome outcome;
    if (!CallAtOnce(method, context, request, response, deadline, &outcome)) {
      absl::StatusOr<std::shared_ptr<ClientConnection>> connection = Connection(context, deadline);
      if (!connection.ok()) return connection.status();
      outcome = Call(connection->get(), method, context, request, response, deadline);
    }
    if (outcome.status.ok()) return absl::OkStatus();
    if (MayRetry(method, outcome, attempts)) continue;
    if (absl::IsUnavailable(outcome.status)) Usable();
    return std::move(outcome.status);
  }
}

void ConnectingChannel::UnaryCallAsync(const internal::Method& method, ClientContext* context,
                                       internal::OutMessage request, internal::InMessage response,
                                       std::function<void(absl::Status)> done) {
  if (inherited()) return CallBackElsewhere(std::move(done), ChannelOfTheParent(address_.text));
  int64_t deadline = kNever;
  absl::Status refused = BeginAsync(method, context, &deadline);
  async_.Start(std::make_unique<AsyncUnary>(method, context, deadline, request, response, std::move(done)),
               std::move(refused));
}

internal::CallWaker* ConnectingChannel::StartCallAsync(const internal::Method& method, ClientContext* context,
                                                       std::shared_ptr<internal::ClientDriver> driver) {
  if (inherited()) return DriveFailedCall(std::move(driver), ChannelOfTheParent(address_.text));
  int64_t deadline = kNever;
  absl::Status refused = BeginAsync(method, context, &deadline);
  auto call = std::make_unique<AsyncStream>(method, context, deadline, shared_from_this(), std::move(driver));
  internal::CallWaker* const waker = call.get();
  async_.Start(std::move(call), std::move(refused));
  return waker;
}

absl::Status ConnectingChannel::BeginAsync(const internal::Method& method, ClientContext* context, int64_t* deadline) {
  if (!ClientContextAccess::Begin(context)) return ContextUsedTwice();
  *deadline = DeadlineOf(method, *context);
  return absl::OkStatus();
}

std::unique_ptr<internal::ClientCall> ConnectingChannel::StartCall(const internal::Method& method,
                                                                   ClientContext* context) {
  if (!ClientContextAccess::Begin(context)) return std::make_unique<FailedCall>(ContextUsedTwice());
  if (inherited()) return std::make_unique<FailedCall>(ChannelOfTheParent(address_.text));
  const int64_t deadline = DeadlineOf(method, *context);
  for (int attempts = 0;; ++attempts) {
    absl::StatusOr<std::shared_ptr<ClientConnection>> connection = Connection(context, deadline);
    if (!connection.ok()) return std::make_unique<FailedCall>(connection.status());
    CallOutcome outcome;
    std::unique_ptr<internal::ClientCall> call =
        (*connection)->StartStream(method, context, deadline, shared_from_this(), nullptr, &outcome);
    if (call != nullptr) return call;
    if (!MayRetry(method, outcome, attempts)) return std::make_unique<FailedCall>(std::move(outcome.status));
  }
}

// See CreateChannel; without the interceptors.
std::shared_ptr<Channel> CreatePlainChannel(const std::string& text, const ChannelOptions& options) {
  absl::StatusOr<Address> address = ParseAddress(text);
  absl::Status unusable = address.status();
  Transport* transport = nullptr;
  if (unusable.ok()) {
    absl::StatusOr<Transport*> found = FindTransport(*address);
    unusable = found.ok() ? (*found)->Check(*address) : found.status();
    if (found.ok()) transport = *found;
    if (unusable.ok()) {
      if (std::shared_ptr<Channel> channel = transport->MakeChannel(*address, options)) return channel;
    }
  } else {
    address = Address{text, "", ""};
  }
  return std::shared_ptr<ConnectingChannel>(
      new ConnectingChannel(*std::move(address), std::move(unusable), transport, options),
      &DeleteChannel<ConnectingChannel>);
}

}  // namespace

std::shared_ptr<Channel> CreateChannel(const std::string& address) { return CreateChannel(address, ChannelOptions()); }

std::shared_ptr<Channel> CreateChannel(const std::string& address, const ChannelOptions& options) {
  return Intercept(CreatePlainChannel(address, options), options.interceptors);
}

}  // namespace nearcall
