#include "nearcall/client_context.h"

#include <algorithm>
#include <utility>

#include "nearcall/internal/context_access.h"
#include "nearcall/server_context.h"
#include "runtime/base/clock.h"

namespace nearcall {

std::unique_ptr<ClientContext> ClientContext::FromServerContext(const ServerContext& server) {
  auto context = std::make_unique<ClientContext>();
  context->set_deadline(server.deadline());
  context->parent_ = &server;
  internal::MutexLock lock(&server.mu_);
  context->next_sibling_ = server.children_;
  server.children_ = context.get();
  // Under the lock: a cancellation comes either before this look, or finds the child.
  if (internal::ServerContextAccess::cancelled(server)) context->cancelled_.store(true, std::memory_order_seq_cst);
  return context;
}

ClientContext::~ClientContext() {
  if (parent_ == nullptr) return;
  internal::MutexLock lock(&parent_->mu_);
  ClientContext** link = &parent_->children_;
  while (*link != this) link = &(*link)->next_sibling_;
  *link = next_sibling_;
}

void ClientContext::set_deadline(absl::Time deadline) {
  deadline_ = deadline;
  timeout_ = absl::InfiniteDuration();
}

void ClientContext::set_timeout(absl::Duration timeout) {
  timeout_ = timeout;
  deadline_ = absl::InfiniteFuture();
}

absl::Time ClientContext::deadline() const {
  return timeout_ == absl::InfiniteDuration() ? deadline_ : absl::Now() + timeout_;
}

void ClientContext::TryCancel() {
  cancelled_.store(true, std::memory_order_seq_cst);
  internal::MutexLock lock(&mu_);
  for (internal::Cancellable* sleeper = sleepers_; sleeper != nullptr; sleeper = sleeper->next_) sleeper->OnCancel();
}

absl::string_view ClientContext::transport() const { return peer_ ? absl::string_view(peer_->transport) : ""; }

std::string ClientContext::peer() const { return peer_ ? peer_->address : ""; }

void CallOptions::ApplyTo(ClientContext* context) const {
  if (timeout != absl::InfiniteDuration()) {
    context->set_timeout(std::min(timeout, deadline - absl::Now()));
  } else {
    context->set_deadline(deadline);
  }
  context->set_wait_for_ready(wait_for_ready);
  for (const Metadata::Pair& pair : metadata) context->AddMetadata(pair.first, pair.second);
}

namespace internal {

int64_t ClientContextAccess::DeadlineThatIsSet(const ClientContext& context) {
  if (context.timeout_ != absl::InfiniteDuration()) return MonotonicAfter(context.timeout_);
  return MonotonicAt(context.deadline_);
}

void ServerContextAccess::Cancel(ServerContext* context) {
  context->cancelled_.store(true, std::memory_order_seq_cst);
  MutexLock lock(&context->mu_);
  for (ClientContext* child = context->children_; child != nullptr; child = ClientContextAccess::NextSibling(child)) {
    child->TryCancel();
  }
}

}  // namespace internal
}  // namespace nearcall
