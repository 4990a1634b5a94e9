#ifndef NEARCALL_INTERNAL_CONTEXT_ACCESS_H_
#define NEARCALL_INTERNAL_CONTEXT_ACCESS_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "nearcall/call_attachments.h"
#include "nearcall/client_context.h"
#include "nearcall/server_context.h"

namespace nearcall {
namespace internal {

// The framework's way into what is attached to a call.
class AttachmentsAccess {
 public:
  // nullptr where nothing is attached.
  static const OutgoingAttachments* outgoing(const CallAttachments& call) { return call.outgoing_.get(); }
  static void set_incoming(CallAttachments* call, std::shared_ptr<IncomingAttachments> incoming) {
    call->incoming_ = std::move(incoming);
  }
  // For a call that is made in another one's stead.
  static void CopyOutgoing(const CallAttachments& from, CallAttachments* to) { to->outgoing_ = from.outgoing_; }
  static void CopyIncoming(const CallAttachments& from, CallAttachments* to) { to->incoming_ = from.incoming_; }
  // Whoever got them is done with them.
  static void DropIncoming(CallAttachments* call) {
    if (call->incoming_ != nullptr) call->incoming_.reset();
  }
  // They are on their way.
  static void DropOutgoing(CallAttachments* call) {
    if (call->outgoing_ != nullptr) call->outgoing_.reset();
  }
  static void Drop(CallAttachments* call) {
    DropOutgoing(call);
    DropIncoming(call);
  }
};

// The framework's way into a ClientContext.
class ClientContextAccess {
 public:
  // The first use of the context; false for every other one.
  static bool Begin(ClientContext* context) { return !std::exchange(context->used_, true); }
  static bool used(const ClientContext& context) { return context.used_; }
  // When the call must be over, on the monotonic clock; kNever without a deadline.
  static int64_t MonotonicDeadline(const ClientContext& context) {
    const bool none = context.deadline_ == absl::InfiniteFuture() && context.timeout_ == absl::InfiniteDuration();
    return none ? INT64_MAX : DeadlineThatIsSet(context);
  }
  static bool cancelled(const ClientContext& context) { return context.cancelled_.load(std::memory_order_seq_cst); }
  // Has TryCancel wake `sleeper`, until it is taken out again.
  static void AddSleeper(ClientContext* context, Cancellable* sleeper) {
    MutexLock lock(&context->mu_);
    sleeper->next_ = context->sleepers_;
    context->sleepers_ = sleeper;
  }
  static void RemoveSleeper(ClientContext* context, Cancellable* sleeper) {
    MutexLock lock(&context->mu_);
    for (Cancellable** link = &context->sleepers_; *link != nullptr; link = &(*link)->next_) {
      if (*link != sleeper) continue;
      *link = sleeper->next_;
      return;
    }
  }
  static ClientContext* NextSibling(const ClientContext* context) { return context->next_sibling_; }
  static const Metadata& metadata(const ClientContext& context) { return context.metadata_; }
  static Metadata* initial_metadata(ClientContext* context) { return &context->server_initial_metadata_; }
  static Metadata* trailing_metadata(ClientContext* context) { return &context->server_trailing_metadata_; }
  // What `from` says of its call, for a call that is made with `to` in its stead. `from` counts as used.
  static void CopySettings(ClientContext* from, ClientContext* to) {
    to->deadline_ = from->deadline_;
    to->timeout_ = from->timeout_;
    to->metadata_ = from->metadata_;
    to->wait_for_ready_ = from->wait_for_ready_;
    AttachmentsAccess::CopyOutgoing(*from, to);
    to->used_ = std::exchange(from->used_, true);
  }
  // What is learnt of that call with its initial metadata, and at its end.
  static void CopyBeginning(const ClientContext& from, ClientContext* to) {
    to->server_initial_metadata_ = from.server_initial_metadata_;
    to->peer_ = from.peer_;
  }
  static void CopyEnd(const ClientContext& from, ClientContext* to) {
    CopyBeginning(from, to);
    to->server_trailing_metadata_ = from.server_trailing_metadata_;
    AttachmentsAccess::CopyIncoming(from, to);
  }
  static void set_peer(ClientContext* context, const std::shared_ptr<const Peer>& peer) { context->peer_ = peer; }

 private:
  static int64_t DeadlineThatIsSet(const ClientContext& context);
};

// The framework's way into a ServerContext.
class ServerContextAccess {
 public:
  // What a new context, or one that is as new, is told of its call.
  static void Begin(ServerContext* context, ServerCall* call, const Peer* peer, absl::string_view method,
                    int64_t deadline) {
    context->call_ = call;
    context->peer_ = peer;
    context->method_ = method;
    context->deadline_ns_ = deadline;
  }
  // Makes a context whose call is over as new.
  static void Reset(ServerContext* context) {
    context->cancelled_.store(false, std::memory_order_relaxed);
    if (context->default_reactor_ != nullptr) context->default_reactor_.reset();
    if (!context->client_metadata_.empty()) context->client_metadata_.clear();
    if (!context->initial_metadata_.empty()) context->initial_metadata_.clear();
    if (!context->trailing_metadata_.empty()) context->trailing_metadata_.clear();
    AttachmentsAccess::Drop(context);
  }
  // Marks the call as cancelled, and cancels the calls made on its behalf.
  static void Cancel(ServerContext* context);
  // Whom to tell that the call is cancelled; nullptr if nobody asked. After Cancel.
  static std::shared_ptr<CancelNotice> cancel_notice(ServerContext* context) {
    MutexLock lock(&context->mu_);
    return context->cancel_notice_;
  }
  // The handler has returned: its callback is not called any more.
  static void HandlerReturned(ServerContext* context) {
    if (context->has_cancel_notice_) DropCancelNotice(context);
  }
  static bool cancelled(const ServerContext& context) { return context.cancelled_.load(std::memory_order_seq_cst); }
  static int64_t deadline(const ServerContext& context) { return context.deadline_ns_; }
  static Metadata* client_metadata(ServerContext* context) { return &context->client_metadata_; }
  static const Metadata& initial_metadata(const ServerContext& context) { return context.initial_metadata_; }
  static const Metadata& trailing_metadata(const ServerContext& context) { return context.trailing_metadata_; }

 private:
  static void DropCancelNotice(ServerContext* context);
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_CONTEXT_ACCESS_H_
