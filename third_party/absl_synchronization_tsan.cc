// Tells ThreadSanitizer about abseil's locks. The system's
// libabsl_synchronization is not instrumented, so that every access that an
// absl::Mutex guards would be reported as a race. The definitions here come
// before the library's at run time, even for calls inside the library: each
// says what it is about to do, and then calls the library's. The variants that
// are not here (Await, Wait, all that take a time-out) end in one that is.
//
// Part of @com_google_absl//absl/synchronization where -fsanitize=thread is on,
// and nowhere else.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

static_assert(ABSL_LTS_RELEASE_VERSION <= 20220623,
              "later releases have some of these functions in the header");

namespace absl {
ABSL_NAMESPACE_BEGIN
namespace {

using synchronization_internal::KernelTimeout;

constexpr unsigned kWrite = 0;
constexpr unsigned kRead = __tsan_mutex_read_lock;
constexpr char kConst[] =
    "_ZNK4absl";  // how the mangled name of a const member function begins

// The library's definition of `member`, a mangled name without its namespace. A
// member function is called as a plain function whose first argument is the
// object.
template <typename Signature>
Signature* Real(const char* member, const std::string& prefix = "_ZN4absl") {
  const std::string space = ABSL_INTERNAL_INLINE_NAMESPACE_STR;
  const std::string symbol =
      prefix + std::to_string(space.size()) + space + member;
  void* found = dlsym(RTLD_NEXT, symbol.c_str());
  if (found == nullptr) {
    std::fprintf(stderr, "%s: no %s\n", __FILE__, symbol.c_str());
    std::abort();
  }
  return reinterpret_cast<Signature*>(found);
}

// In each of these scopes the sanitizer ignores what the thread does,
// conditions that the library evaluates included.
struct Locking {
  Locking(Mutex* mu, unsigned flags) : mu(mu), flags(flags) {
    __tsan_mutex_pre_lock(mu, flags);
  }
  ~Locking() { __tsan_mutex_post_lock(mu, flags, 0); }
  Mutex* mu;
  unsigned flags;
};

struct Unlocking {
  Unlocking(Mutex* mu, unsigned flags) : mu(mu), flags(flags) {
    __tsan_mutex_pre_unlock(mu, flags);
  }
  ~Unlocking() { __tsan_mutex_post_unlock(mu, flags); }
  Mutex* mu;
  unsigned flags;
};

// Unlocks, and locks again when it returns.
struct Waiting {
  Waiting(Mutex* mu, unsigned flags) : mu(mu), flags(flags) {
    { Unlocking scope(mu, flags); }
    __tsan_mutex_pre_lock(mu, flags);
  }
  ~Waiting() { __tsan_mutex_post_lock(mu, flags, 0); }
  Mutex* mu;
  unsigned flags;
};

bool Try(Mutex* mu, bool (*real)(Mutex*), unsigned flags) {
  flags |= __tsan_mutex_try_lock;
  __tsan_mutex_pre_lock(mu, flags);
  const bool locked = real(mu);
  __tsan_mutex_post_lock(
      mu, flags | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

}  // namespace

Mutex::~Mutex() {
  static auto* const real = Real<void(Mutex*)>("5MutexD1Ev");
  real(this);
  __tsan_mutex_destroy(this, __tsan_mutex_not_static);
}

void Mutex::Lock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex4LockEv");
  Locking scope(this, kWrite);
  real(this);
}

void Mutex::Unlock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex6UnlockEv");
  Unlocking scope(this, kWrite);
  real(this);
}

bool Mutex::TryLock() {
  static auto* const real = Real<bool(Mutex*)>("5Mutex7TryLockEv");
  return Try(this, real, kWrite);
}

void Mutex::ReaderLock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex10ReaderLockEv");
  Locking scope(this, kRead);
  real(this);
}

void Mutex::ReaderUnlock() {
  static auto* const real = Real<void(Mutex*)>("5Mutex12ReaderUnlockEv");
  Unlocking scope(this, kRead);
  real(this);
}

bool Mutex::ReaderTryLock() {
  static auto* const real = Real<bool(Mutex*)>("5Mutex13ReaderTryLockEv");
  return Try(this, real, kRead);
}

void Mutex::LockWhen(const Condition& cond) {
  static auto* const real =
      Real<void(Mutex*, const Condition&)>("5Mutex8LockWhenERKNS0_9ConditionE");
  Locking scope(this, kWrite);
  real(this, cond);
}

bool Mutex::LockWhenWithDeadline(const Condition& cond, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  Locking scope(this, kWrite);
  return real(this, cond, deadline);
}

void Mutex::ReaderLockWhen(const Condition& cond) {
  static auto* const real = Real<void(Mutex*, const Condition&)>(
      "5Mutex14ReaderLockWhenERKNS0_9ConditionE");
  Locking scope(this, kRead);
  real(this, cond);
}

bool Mutex::ReaderLockWhenWithDeadline(const Condition& cond, Time deadline) {
  static auto* const real = Real<bool(Mutex*, const Condition&, Time)>(
      "5Mutex26ReaderLockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  Locking scope(this, kRead);
  return real(this, cond, deadline);
}

bool Mutex::AwaitCommon(const Condition& cond, KernelTimeout timeout) {
  static auto* const real = Real<bool(Mutex*, const Condition&, KernelTimeout)>(
      "5Mutex11AwaitCommonERKNS0_9ConditionENS0_24synchronization_"
      "internal13KernelTimeoutE");
  constexpr intptr_t kMuWriter = 8;  // as in abseil's mutex.cc
  Waiting scope(
      this, mu_.load(std::memory_order_relaxed) & kMuWriter ? kWrite : kRead);
  return real(this, cond, timeout);
}

bool CondVar::WaitCommon(Mutex* mu, KernelTimeout timeout) {
  static auto* const real = Real<bool(CondVar*, Mutex*, KernelTimeout)>(
      "7CondVar10WaitCommonEPNS0_5MutexENS0_24synchronization_"
      "internal13KernelTimeoutE");
  Waiting scope(mu, kWrite);
  return real(this, mu, timeout);
}

// These two synchronise by atomics of their own as well.

void Notification::Notify() {
  static auto* const real =
      Real<void(Notification*)>("12Notification6NotifyEv");
  __tsan_release(&notified_yet_);
  real(this);
}

void Notification::WaitForNotification() const {
  static auto* const real = Real<void(const Notification*)>(
      "12Notification19WaitForNotificationEv", kConst);
  real(this);
  __tsan_acquire(const_cast<std::atomic<bool>*>(&notified_yet_));
}

bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  static auto* const real = Real<bool(const Notification*, Duration)>(
      "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE", kConst);
  const bool notified = real(this, timeout);
  __tsan_acquire(const_cast<std::atomic<bool>*>(&notified_yet_));
  return notified;
}

bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  static auto* const real = Real<bool(const Notification*, Time)>(
      "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE", kConst);
  const bool notified = real(this, deadline);
  __tsan_acquire(const_cast<std::atomic<bool>*>(&notified_yet_));
  return notified;
}

bool BlockingCounter::DecrementCount() {
  static auto* const real =
      Real<bool(BlockingCounter*)>("15BlockingCounter14DecrementCountEv");
  __tsan_release(&count_);
  return real(this);
}

void BlockingCounter::Wait() {
  static auto* const real =
      Real<void(BlockingCounter*)>("15BlockingCounter4WaitEv");
  real(this);
  __tsan_acquire(&count_);
}

ABSL_NAMESPACE_END
}  // namespace absl

extern "C" const char* __tsan_default_suppressions() {
  return
      // Two parts of abseil keep something of their own for the whole program,
      // under locks that nobody sees: the order in which locks were taken, and
      // the seeds of random numbers. What they copy and free there is theirs.
      "called_from_lib:libabsl_graphcycles_internal.so\n"
      "called_from_lib:libabsl_random_internal_pool_urbg.so\n";
}
