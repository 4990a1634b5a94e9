#ifndef NEARCALL_RUNTIME_ENGINE_WAIT_SPOT_H_
#define NEARCALL_RUNTIME_ENGINE_WAIT_SPOT_H_

#include <atomic>

#include "nearcall/internal/cancellable.h"
#include "runtime/base/parker.h"

namespace nearcall {

class ClientContext;
class Reactor;

// Where one thread waits for one thing (a reply, a message, room to write), so that whoever brings it can wake it.
//
// The waiter publishes where it sleeps, then looks once more at what it waits for; the waker changes that, then looks
// for a sleeper. Both publish and look with sequentially consistent operations, so one of them sees the other.
//
// Threads: Notify from any thread; the rest by the waiting thread (Reactor::Wait).
// Lifetime: must outlive every Notify; Notify must come after the change that it announces, which itself must be a
// sequentially consistent operation or be made under a lock that the waiter's condition takes.
class WaitSpot final : private internal::Cancellable {
 public:
  // With a context, ClientContext::TryCancel wakes the waiter too.
  explicit WaitSpot(ClientContext* context = nullptr) : context_(context) {}

  // Whether the waiter sleeps; a hint.
  bool asleep() const {
    return parker_.load(std::memory_order_relaxed) != nullptr || reactor_.load(std::memory_order_relaxed) != nullptr;
  }
  // Wakes the waiter if it sleeps.
  void Notify() {
    if (Parker* parker = parker_.load(std::memory_order_seq_cst)) parker->Unpark();
    if (Reactor* reactor = reactor_.load(std::memory_order_seq_cst)) WakeSleeperOf(reactor);
  }

 private:
  friend class PollerRole;
  friend class Reactor;

  void OnCancel() override { Notify(); }
  static void WakeSleeperOf(Reactor* reactor);
  void EnterSleep(Parker* parker, Reactor* reactor);
  void LeaveSleep();

  ClientContext* const context_;
  // Stores in EnterSleep pair with loads in Notify.
  std::atomic<Parker*> parker_{nullptr};    // set while the waiter sleeps as a follower
  std::atomic<Reactor*> reactor_{nullptr};  // set while the waiter sleeps as the poller
};

// Has TryCancel of a context wake whoever waits at a spot that is not the context's own.
class NotifyOnCancel final : private internal::Cancellable {
 public:
  NotifyOnCancel(ClientContext* context, WaitSpot* spot);
  ~NotifyOnCancel();

 private:
  void OnCancel() override { spot_->Notify(); }

  ClientContext* const context_;
  WaitSpot* const spot_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_WAIT_SPOT_H_
