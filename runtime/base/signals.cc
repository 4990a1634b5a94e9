#include "runtime/base/signals.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/fd.h"

namespace nearcall {
namespace {

// What the handler, which may run in any thread at any moment, goes by.
std::atomic<int> pipe_to_hub{-1};
std::atomic<pid_t> owner{0};
// By signal; written before the handler is installed.
struct sigaction before[NSIG];

void OnSignal(int number) {
  const int saved_errno = errno;
  if (getpid() == owner.load(std::memory_order_relaxed)) {
    const unsigned char byte = static_cast<unsigned char>(number);
    [[maybe_unused]] const ssize_t written = write(pipe_to_hub.load(std::memory_order_relaxed), &byte, 1);
  } else {
    // A forked child: the pipe is its parent's.
    sigaction(number, &before[number], nullptr);
    raise(number);
  }
  errno = saved_errno;
}

}  // namespace

// Everybody's subscriptions, and the thread that calls them; it starts with the first and ends with the last.
class SignalHub {
 public:
  static SignalHub& Get() {
    static SignalHub* const hub = new SignalHub;
    return *hub;
  }

  absl::Status Add(SignalSubscription* subscription) {
    absl::MutexLock lock(&mu_);
    for (const int number : subscription->signals_) {
      if (number <= 0 || number >= NSIG || number == SIGKILL || number == SIGSTOP) {
        return absl::InvalidArgumentError(absl::StrCat("signal ", number, " cannot be caught"));
      }
    }
    if (subscriptions_.empty()) {
      if (absl::Status started = Start(); !started.ok()) return started;
    }
    subscriptions_.push_back(subscription);
    for (const int number : subscription->signals_) {
      if (users_[number]++ != 0) continue;
      struct sigaction action {};
      action.sa_handler = &OnSignal;
      action.sa_flags = SA_RESTART;
      sigfillset(&action.sa_mask);
      sigaction(number, nullptr, &before[number]);
      sigaction(number, &action, nullptr);
    }
    return absl::OkStatus();
  }

  void Remove(SignalSubscription* subscription) {
    std::thread ended;
    {
      absl::MutexLock lock(&mu_);
      const auto at = std::find(subscriptions_.begin(), subscriptions_.end(), subscription);
      if (at == subscriptions_.end()) return;
      for (const int number : subscription->signals_) {
        if (--users_[number] == 0) sigaction(number, &before[number], nullptr);
      }
      subscriptions_.erase(at);
      mu_.Await(absl::Condition(
          +[](bool* calling) { return !*calling; }, &calling_));
      if (subscriptions_.empty()) {
        to_hub_.reset();  // the end of the thread
        ended.swap(thread_);
      }
    }
    if (ended.joinable()) ended.join();
  }

 private:
  absl::Status Start() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    to_hub_.reset(ends[1]);
    pipe_to_hub.store(ends[1], std::memory_order_relaxed);
    owner.store(getpid(), std::memory_order_relaxed);
    // The thread must not be the one that a signal interrupts: what it calls may be slow.
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    thread_ = std::thread([this, from_signals = Fd(ends[0])]() mutable { Loop(std::move(from_signals)); });
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    return absl::OkStatus();
  }

  void Loop(Fd from_signals) {
    unsigned char number;
    for (;;) {
      const ssize_t count = read(from_signals.get(), &number, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count != 1) return;
      std::vector<SignalSubscription*> to_call;
      {
        absl::MutexLock lock(&mu_);
        for (SignalSubscription* subscription : subscriptions_) {
          const std::vector<int>& signals = subscription->signals_;
          if (std::find(signals.begin(), signals.end(), number) != signals.end()) to_call.push_back(subscription);
        }
        calling_ = true;
      }
      for (SignalSubscription* subscription : to_call) subscription->callback_(number);
      absl::MutexLock lock(&mu_);
      calling_ = false;
    }
  }

  absl::Mutex mu_;
  std::vector<SignalSubscription*> subscriptions_ ABSL_GUARDED_BY(mu_);
  std::map<int, int> users_ ABSL_GUARDED_BY(mu_);
  bool calling_ ABSL_GUARDED_BY(mu_) = false;
  Fd to_hub_ ABSL_GUARDED_BY(mu_);
  std::thread thread_ ABSL_GUARDED_BY(mu_);
};

absl::StatusOr<std::unique_ptr<SignalSubscription>> SignalSubscription::Make(const std::vector<int>& signals,
                                                                             std::function<void(int)> callback) {
  std::unique_ptr<SignalSubscription> subscription(new SignalSubscription(signals, std::move(callback)));
  if (absl::Status added = SignalHub::Get().Add(subscription.get()); !added.ok()) return added;
  return subscription;
}

SignalSubscription::~SignalSubscription() { SignalHub::Get().Remove(this); }

}  // namespace nearcall
