#include "runtime/engine/reactor.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "nearcall/internal/context_access.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/step.h"

namespace nearcall {
namespace {

// How many looks at memory go by between two glances at the sleeping descriptors while the poller is awake.
constexpr size_t kLooksPerGlance = 512;
// The same among many, once so many passes have found nothing: the next to speak is then as likely one who sleeps.
constexpr size_t kLooksPerGlanceIfIdle = 64;
constexpr uint32_t kIdlePasses = 32;
// What a look costs that is a system call, in looks at memory.
constexpr size_t kSystemCallLooks = 32;
// How many fruitless looks at memory, at whatever Pollable, put one of them to sleep that has been quiet meanwhile: a
// tenth of a millisecond or so, however many there are.
constexpr size_t kQuietLooks = 4096;
// After how many looks that found something epoll is not to be told of a Pollable any more. That costs two system
// calls, and saves its peer a third of one each time.
constexpr uint32_t kBusyLooks = 16;
// An event names a Pollable by its address, and in the lowest bits which of its descriptors it is about.
constexpr uint64_t kIndexMask = 3;
static_assert(alignof(Pollable) > kIndexMask && kMaxWatchedFds <= kIndexMask + 1);

// A doorbell, told of once, is silent while its owner is awake; a socket is not. (That beside a doorbell carries no
// messages.)
bool IsSocket(const Pollable& pollable) {
  WatchedFd fds[kMaxWatchedFds];
  const int count = pollable.watched_fds(fds);
  return std::any_of(fds, fds + count, [](const WatchedFd& fd) { return !fd.edge_triggered; });
}

}  // namespace

void WaitSpot::WakeSleeperOf(Reactor* reactor) { reactor->WakeSleeper(); }

void WaitSpot::EnterSleep(Parker* parker, Reactor* reactor) {
  parker_.store(parker, std::memory_order_seq_cst);
  reactor_.store(reactor, std::memory_order_seq_cst);
  if (context_ != nullptr) internal::ClientContextAccess::AddSleeper(context_, this);
}

void WaitSpot::LeaveSleep() {
  if (context_ != nullptr) internal::ClientContextAccess::RemoveSleeper(context_, this);
  parker_.store(nullptr, std::memory_order_seq_cst);
  reactor_.store(nullptr, std::memory_order_seq_cst);
}

NotifyOnCancel::NotifyOnCancel(ClientContext* context, WaitSpot* spot) : context_(context), spot_(spot) {
  internal::ClientContextAccess::AddSleeper(context_, this);
}

NotifyOnCancel::~NotifyOnCancel() { internal::ClientContextAccess::RemoveSleeper(context_, this); }

Reactor::Reactor(Spin spin) : spinner_(spin) { Open().IgnoreError(); }

Reactor::~Reactor() = default;

absl::Status Reactor::Open() {
  if (open_.load(std::memory_order_acquire)) return absl::OkStatus();
  internal::MutexLock lock(&mu_);
  if (open_.load(std::memory_order_relaxed)) return absl::OkStatus();
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return ErrnoStatus(errno, "watching connections (epoll_create1)");
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return ErrnoStatus(errno, "watching connections (eventfd)");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // nobody reads it: each write is one event
  event.data.u64 = 0;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoStatus(errno, "watching connections (epoll_ctl)");
  }
  epoll_ = std::move(epoll);
  wake_ = std::move(wake);
  open_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

// --- Tasks ---

void Reactor::Add(std::shared_ptr<Pollable> pollable) {
  Post([this, pollable = std::move(pollable)] { Register(pollable); });
}

void Reactor::Post(std::function<void()> task) {
  {
    internal::MutexLock lock(&mu_);
    tasks_.push_back(std::move(task));
  }
  has_tasks_.exchange(true, std::memory_order_seq_cst);
  Wake();
}

void Reactor::Wake() {
  if (sleeper_.load(std::memory_order_seq_cst) == Sleeper::kAlone) WakeSleeper();
}

void Reactor::WakeSleeper() {
  if (sleeper_.load(std::memory_order_seq_cst) == Sleeper::kNone || !open_.load(std::memory_order_acquire)) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

void Reactor::Nudge(const Pollable* pollable) {
  Post([this, pollable] {
    if (Has(pollable)) Activate(const_cast<Pollable*>(pollable), 0);
  });
}

bool Reactor::Has(const Pollable* pollable) const {
  return std::any_of(pollables_.begin(), pollables_.end(),
                     [=](const std::shared_ptr<Pollable>& owned) { return owned.get() == pollable; });
}

void Reactor::RunTasks() {
  std::vector<std::function<void()>> tasks;
  has_tasks_.exchange(false, std::memory_order_seq_cst);
  {
    internal::MutexLock lock(&mu_);
    tasks.swap(tasks_);
  }
  for (std::function<void()>& task : tasks) task();
}

// --- The role, borrowed ---

bool Reactor::TryBorrow() {
  if (!role_.TryBorrow()) return false;
  sleeper_.store(Sleeper::kRelieved, std::memory_order_relaxed);
  MuteSockets(true);
  ActivateSpinning();
  return true;
}

void Reactor::GiveBack(bool offer) {
  MuteSockets(false);
  const bool quiet = PutAllToSleep([] { return false; });
  const bool too_late = next_timer_ < sleeps_until_ || some_unwatched_;
  if (role_.TryGiveBack()) {
    if (!quiet || too_late) return WakeSleeper();
    if (offer) role_.OfferToFollower();
    return;
  }
  sleeper_.store(Sleeper::kNone, std::memory_order_relaxed);  // it has gone: the role is this thread's own
  ActivateSpinning();
  may_run_handlers_ = true;
  Release();
}

// --- Polling ---

Reactor::Pass Reactor::PollOnce() {
  if (has_tasks_.load(std::memory_order_relaxed)) RunTasks();
  looks_since_glance_ += active_.empty() ? kSystemCallLooks : 1;
  if (looks_since_glance_ >= LooksPerGlance()) Glance();
  // next_ is a member because a handler that waits polls from inside Poll: the outer pass then goes on where the inner
  // one stopped, never with an index into a list that has changed. Likewise whoever took the role from a pass: were it
  // to begin anew, what holds up one poller after the other would keep those behind it from their turn.
  if (next_ >= active_.size()) next_ = 0;
  const bool whole = next_ == 0;
  Pass pass = PollRest();
  if (pass == Pass::kIdle && !whole) {
    next_ = 0;
    pass = PollRest();
  }
  if (pass == Pass::kRoleLost) return pass;  // somebody else's, all of this, from here on
  idle_passes_ = pass == Pass::kIdle ? idle_passes_ + 1 : 0;
  if (pass == Pass::kProgress && !activity_.load(std::memory_order_relaxed)) {
    activity_.store(true, std::memory_order_relaxed);
  }
  return pass;
}

Reactor::Pass Reactor::PollRest() {
  bool progress = false;
  while (next_ < active_.size()) {
    Pollable* const pollable = active_[next_++];
    const size_t cost = pollable->is_socket_ ? kSystemCallLooks : 1;
    looks_since_glance_ += has_few() ? 1 : cost;
    switch (pollable->Poll()) {
      case Polled::kClosing:
        if (pollable->watched_) {
          progress = true;
          Unwatch(pollable);
          break;
        }
        [[fallthrough]];  // whoever still uses it nudges when it does so no more
      case Polled::kIdle:
        ++pollable->idle_passes_;
        if (!pollable->spins_ || (!has_few() && pollable->idle_passes_ * cost * active_.size() > kQuietLooks)) {
          RetireQuiet(pollable);
        }
        break;
      case Polled::kProgress:
        pollable->idle_passes_ = 0;
        progress = true;
        if (++pollable->busy_passes_ == kBusyLooks) LeaveOut(pollable);
        break;
      case Polled::kRoleLost:
        return Pass::kRoleLost;
      case Polled::kFinished: {
        progress = true;
        Unwatch(pollable);
        auto at = std::find(active_.begin(), active_.end(), pollable);
        if (at != active_.end()) Remove(static_cast<size_t>(at - active_.begin()));
        break;
      }
    }
  }
  return progress ? Pass::kProgress : Pass::kIdle;
}

size_t Reactor::LooksPerGlance() const {
  return idle_passes_ >= kIdlePasses && !has_few() ? kLooksPerGlanceIfIdle : kLooksPerGlance;
}

void Reactor::Peek() {
  if (!TryAcquire()) return;
  may_run_handlers_ = false;
  WaitForEvents(0, WhileAsleep::kKeepRole);
  PollOnce();
  may_run_handlers_ = true;
  Release();
}

void Reactor::Glance() {
  looks_since_glance_ = 0;
  if (sleeper_.load(std::memory_order_relaxed) == Sleeper::kRelieved) return;  // it watches, and must not miss an event
  finished_.clear();
  if (active_.size() < pollables_.size()) WaitForEvents(0, WhileAsleep::kKeepRole);
}

bool Reactor::PutAllToSleep(absl::FunctionRef<bool()> unless) {
  finished_.clear();
  looks_since_glance_ = 0;
  sleeper_.exchange(Sleeper::kAlone, std::memory_order_seq_cst);  // pairs with Wake's load
  bool quiet = !has_tasks_.load(std::memory_order_seq_cst) && !unless();
  size_t prepared = 0;
  while (quiet && prepared < active_.size()) {
    quiet = PrepareSleep(active_[prepared]);
    ++prepared;
  }
  if (!quiet) {
    for (size_t i = 0; i < prepared; ++i) active_[i]->FinishSleep(0);
    return false;
  }
  for (Pollable* pollable : active_) pollable->active_ = false;
  active_.clear();
  return true;
}

bool Reactor::Sleep(int64_t deadline, absl::FunctionRef<bool()> done, WhileAsleep role) {
  if (some_unwatched_) WatchUnwatched();
  if (PutAllToSleep(done)) {
    if (some_unwatched_) deadline = std::min(deadline, MonotonicNanos() + kUnwatchedNanos);
    if (!WaitForEvents(deadline, can_leave_role() ? role : WhileAsleep::kKeepRole)) return false;
  }
  sleeper_.store(Sleeper::kNone, std::memory_order_relaxed);
  if (!some_unwatched_) return true;
  for (const std::shared_ptr<Pollable>& pollable : pollables_) {
    if (pollable->watched_ && !pollable->fully_watched_) Activate(pollable.get(), 0);  // no event would tell of it
  }
  return true;
}

// Waits until a descriptor is ready, or `deadline` (0: does not wait), and makes active what has something to do.
bool Reactor::WaitForEvents(int64_t deadline, WhileAsleep role) {
  if (!open_.load(std::memory_order_acquire)) return true;  // there is nothing to wait for
  int64_t until = std::min(deadline, next_timer_);
  timespec timeout{};
  if (until != kNever && deadline != 0) {
    const int64_t left = std::max<int64_t>(until - MonotonicNanos(), 0);
    timeout.tv_sec = left / 1'000'000'000;
    timeout.tv_nsec = left % 1'000'000'000;
  }
  const bool left = role != WhileAsleep::kKeepRole;
  if (left) {
    sleeps_until_ = until;
    role_.Leave();
    if (role == WhileAsleep::kOfferRole) role_.OfferToFollower();
  }
  NEARCALL_STEP("reactor.wait");
  epoll_event buffer[64];
  int count = epoll_pwait2(epoll_.get(), buffer, 64, until == kNever ? nullptr : &timeout, nullptr);
  if (count < 0 && errno == ENOSYS) {  // before Linux 5.11: milliseconds, rounded up
    const int millis =
        until == kNever ? -1 : static_cast<int>(timeout.tv_sec * 1000 + (timeout.tv_nsec + 999'999) / 1'000'000);
    count = epoll_wait(epoll_.get(), buffer, 64, millis);
  }
  NEARCALL_STEP("reactor.events");
  const absl::Span<const epoll_event> events(buffer, static_cast<size_t>(std::max(count, 0)));
  const auto tell_borrower = [&] {
    if (events.empty()) return;
    Post([this, events = std::vector<epoll_event>(events.begin(), events.end())] {
      Deliver(events, /*may_be_gone=*/true);
    });
  };
  if (left && !role_.ReturnFromSleep(tell_borrower)) return false;
  Deliver(events, left);
  const bool few = has_few();
  if ((few && deadline != 0) || (next_timer_ != kNever && MonotonicNanos() >= next_timer_)) {
    const int64_t now = MonotonicNanos();
    next_timer_ = kNever;
    for (const std::shared_ptr<Pollable>& pollable : pollables_) {
      const int64_t due = pollable->next_deadline();
      if (due <= now || (few && pollable->spins_)) Activate(pollable.get(), 0);
      if (due > now) next_timer_ = std::min(next_timer_, due);
    }
  }
  return true;
}

void Reactor::Deliver(absl::Span<const epoll_event> events, bool may_be_gone) {
  for (const epoll_event& event : events) {
    if (event.data.u64 == 0) continue;
    auto* const pollable = reinterpret_cast<Pollable*>(event.data.u64 & ~kIndexMask);
    if (may_be_gone && !Has(pollable)) continue;
    Activate(pollable, 1u << (event.data.u64 & kIndexMask));
  }
}

bool Reactor::PollsSockets() const {
  return std::any_of(active_.begin(), active_.end(), [](const Pollable* pollable) { return pollable->is_socket_; });
}

void Reactor::ActivateSpinning() {
  for (const std::shared_ptr<Pollable>& pollable : pollables_) {
    if (pollable->spins_) Activate(pollable.get(), 0);
  }
}

bool Reactor::PrepareSleep(Pollable* pollable) {
  next_timer_ = std::min(next_timer_, pollable->next_deadline());
  pollable->busy_passes_ = 0;
  const bool quiet = pollable->PrepareSleep();
  if (!pollable->watched_) return quiet;
  const bool was_write_watched = std::exchange(pollable->write_watched_, pollable->wants_write());
  if (std::exchange(pollable->left_out_, false)) {
    WatchOrLater(pollable, EPOLL_CTL_ADD);
  } else if (pollable->write_watched_ != was_write_watched) {
    WatchOrLater(pollable, EPOLL_CTL_MOD);
  }
  return quiet;
}

void Reactor::Activate(Pollable* pollable, uint32_t ready) {
  if (pollable->active_) {
    if (ready != 0) pollable->FinishSleep(ready);
    return;
  }
  pollable->active_ = true;
  pollable->idle_passes_ = 0;
  pollable->FinishSleep(ready);
  active_.push_back(pollable);
}

void Reactor::RetireQuiet(Pollable* pollable) {
  pollable->idle_passes_ = 0;
  if (!PrepareSleep(pollable) || !pollable->fully_watched_) return pollable->FinishSleep(0);
  pollable->active_ = false;
  const auto at = std::find(active_.begin(), active_.end(), pollable);
  if (static_cast<size_t>(at - active_.begin()) < next_) --next_;
  active_.erase(at);
}

void Reactor::Register(std::shared_ptr<Pollable> pollable) {
  WatchOrLater(pollable.get(), EPOLL_CTL_ADD);
  next_timer_ = std::min(next_timer_, pollable->next_deadline());
  pollable->spins_ = pollable->worth_spinning();
  pollable->is_socket_ = IsSocket(*pollable);
  pollable->active_ = true;
  active_.push_back(pollable.get());
  pollables_.push_back(std::move(pollable));
}

void Reactor::Unwatch(Pollable* pollable) {
  if (!pollable->watched_) return;
  pollable->watched_ = false;
  Watch(pollable, EPOLL_CTL_DEL);
}

void Reactor::WatchUnwatched() {
  some_unwatched_ = false;
  for (const std::shared_ptr<Pollable>& pollable : pollables_) {
    if (!pollable->watched_ || pollable->fully_watched_) continue;
    Watch(pollable.get(), EPOLL_CTL_DEL);
    pollable->fully_watched_ = true;
    WatchOrLater(pollable.get(), EPOLL_CTL_ADD);
  }
}

// Whoever sleeps in epoll meanwhile would be woken by each message, where a doorbell does not ring for who is awake.
void Reactor::MuteSockets(bool muted) {
  for (const std::shared_ptr<Pollable>& pollable : pollables_) {
    if (!pollable->is_socket_ || !pollable->spins_ || !pollable->watched_ || pollable->muted_ == muted) continue;
    pollable->muted_ = muted;
    if (muted) {
      Watch(pollable.get(), EPOLL_CTL_MOD);
    } else {
      WatchOrLater(pollable.get(), EPOLL_CTL_MOD);
    }
  }
}

// Who sends to it would pay for each message's being told to an epoll that nobody asks. Muting it would not spare that,
// but costs less: that is for who borrows the role, and gives it back after one wait.
void Reactor::LeaveOut(Pollable* pollable) {
  if (!pollable->watched_ || !pollable->fully_watched_ || !pollable->is_socket_) return;
  pollable->left_out_ = true;
  Watch(pollable, EPOLL_CTL_DEL);
}

bool Reactor::Watch(Pollable* pollable, int operation) {
  WatchedFd fds[kMaxWatchedFds];
  const int count = pollable->watched_fds(fds);
  bool good = true;
  for (int i = 0; i < count; ++i) {
    epoll_event event{};
    if (!pollable->muted_) {
      event.events = EPOLLIN | EPOLLRDHUP | (fds[i].edge_triggered ? EPOLLET : 0u) |
                     (pollable->write_watched_ ? static_cast<uint32_t>(EPOLLOUT) : 0u);
    }
    event.data.u64 = reinterpret_cast<uint64_t>(pollable) | static_cast<uint64_t>(i);
    if (epoll_ctl(epoll_.get(), operation, fds[i].fd, &event) != 0) good = false;
  }
  return good;
}

void Reactor::WatchOrLater(Pollable* pollable, int operation) {
  if (Watch(pollable, operation)) return;
  pollable->fully_watched_ = false;
  some_unwatched_ = true;
}

void Reactor::Remove(size_t active_index) {
  Pollable* const pollable = active_[active_index];
  active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(active_index));
  if (active_index < next_) --next_;
  const auto at = std::find_if(pollables_.begin(), pollables_.end(),
                               [&](const std::shared_ptr<Pollable>& owned) { return owned.get() == pollable; });
  finished_.push_back(std::move(*at));
  pollables_.erase(at);
}

void Reactor::Clear() {
  RunTasks();
  active_.clear();
  pollables_.clear();
  finished_.clear();
}

}  // namespace nearcall
