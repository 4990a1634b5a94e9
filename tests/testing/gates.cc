#include "tests/testing/gates.h"

#include <utility>

#include "absl/time/time.h"

namespace nearcall::testing {

GateState Gates::Pass(ServerContext* context, const std::string& name) {
  absl::MutexLock lock(&mu_);
  Gate& gate = gates_[name];
  gate.state.set_entered(gate.state.entered() + 1);
  // Nobody announces a cancellation to a handler: it has to look.
  while (!gate.open && !context->IsCancelled()) changed_.WaitWithTimeout(&mu_, absl::Milliseconds(2));
  CountLeft(&gate, context->IsCancelled());
  return gate.state;
}

bool Gates::Enter(const std::string& name, Waiter* waiter) {
  absl::MutexLock lock(&mu_);
  Gate& gate = gates_[name];
  gate.state.set_entered(gate.state.entered() + 1);
  if (!gate.open) gate.waiters.insert(waiter);
  return gate.open;
}

bool Gates::Withdraw(const std::string& name, Waiter* waiter) {
  absl::MutexLock lock(&mu_);
  return gates_[name].waiters.erase(waiter) != 0;
}

GateState Gates::Leave(const std::string& name, bool cancelled) {
  absl::MutexLock lock(&mu_);
  Gate& gate = gates_[name];
  CountLeft(&gate, cancelled);
  return gate.state;
}

GateState Gates::Open(const std::string& name) {
  GateState state;
  std::set<Waiter*> waiters;
  {
    absl::MutexLock lock(&mu_);
    Gate& gate = gates_[name];
    gate.open = true;
    changed_.SignalAll();
    waiters.swap(gate.waiters);
    state = gate.state;
  }
  for (Waiter* waiter : waiters) waiter->OnOpen();
  return state;
}

GateState Gates::Look(const std::string& name) {
  absl::MutexLock lock(&mu_);
  return gates_[name].state;
}

void Gates::CountEntered(const std::string& name) {
  absl::MutexLock lock(&mu_);
  GateState& state = gates_[name].state;
  state.set_entered(state.entered() + 1);
}

void Gates::CountLeft(Gate* gate, bool cancelled) {
  gate->state.set_left(gate->state.left() + 1);
  if (cancelled) gate->state.set_cancelled(gate->state.cancelled() + 1);
}

void Passage::Begin(const std::string& gate, std::function<void(const GateState&)> through) {
  begun_ = true;
  gate_ = gate;
  through_ = std::move(through);
  // Of a call that was cancelled before it came here, Cancel has been told already.
  if (gates_->Enter(gate_, this) || (context_->IsCancelled() && gates_->Withdraw(gate_, this))) Leave();
}

void Passage::Cancel() {
  if (begun_ && gates_->Withdraw(gate_, this)) Leave();
}

void Passage::Leave() {
  const std::function<void(const GateState&)> through = std::move(through_);
  through(gates_->Leave(gate_, context_->IsCancelled()));
}

}  // namespace nearcall::testing
