#ifndef NEARCALL_RUNTIME_ENGINE_CLIENT_STREAM_H_
#define NEARCALL_RUNTIME_ENGINE_CLIENT_STREAM_H_

#include <atomic>
#include <memory>
#include <utility>

#include "nearcall/internal/client_call.h"
#include "runtime/base/step.h"
#include "runtime/engine/client_session.h"

namespace nearcall {

// One streaming call on the client: the typed streams' way to the session.
//
// Threads: as internal::ClientCall says.
// Lifetime: keeps its session and what `owner` stands for (the channel, whose reactor polls) alive.
template <Wire W>
class ClientStream final : public internal::ClientCall, private SendObserver {
  using Calls = typename ClientSession<W>::Calls;
  using Tried = internal::Tried;

 public:
  ClientStream(std::shared_ptr<ClientSession<W>> session, std::shared_ptr<const void> owner, ClientContext* context,
               int64_t deadline, CallObserver* observer)
      : owner_(std::move(owner)),
        session_(std::move(session)),
        context_(context),
        deadline_(deadline),
        call_(context, internal::InMessage()) {
    call_.is_stream = true;
    call_.observer = observer;
    call_.credit.Reset(session_->options_.send_window);
    call_.inbox = session_->NewInbox(context);
  }
  ~ClientStream() override { End(/*cancel=*/true).IgnoreError(); }

  // Sends the request; once the server has read that, a handler may have seen the call. An outcome other than OK: the
  // call has not begun.
  CallOutcome Begin(const internal::Method& method) {
    call_.ticket = session_->calls_.Claim(&call_);
    if (call_.ticket.id == 0) return {TooManyCalls(session_->options_), false};
    open_ = true;
    absl::Status error;
    const SendResult sent =
        session_->SendRequest(method, context_, &call_, call_.ticket.id, nullptr, deadline_, &error);
    if (sent == SendResult::kSent) {
      AwaitFlushed();
      return {};
    }
    open_ = false;
    Calls::Close(call_.ticket);
    Calls::Free(call_.ticket);
    return session_->NotSent(sent, *context_, std::move(error));
  }

  bool Write(internal::OutMessage message, WriteOptions options) override {
    NEARCALL_STEP("client.stream.write");
    if (writes_done_ || Over()) return false;
    const SizedMessage out(message);
    if (!Fits(out)) return false;
    if (!call_.credit.available()) session_->sender_.FlushHeld();
    session_->reactor_->Wait([this] { return call_.credit.available() || Over(); }, &call_.writer_spot, deadline_);
    if (Over()) return false;
    if (!call_.credit.available()) return TimedOut();
    call_.credit.Spend(out.size);
    writes_done_ = options.last_message;
    return Send(out, options.last_message ? frame_flags::kEndStream : 0, options.buffer_hint && !options.last_message);
  }

  bool WritesDone() override {
    NEARCALL_STEP("client.stream.writes_done");
    if (writes_done_ || Over()) return false;
    writes_done_ = true;
    const SendResult sent = session_->sender_.Send(
        EndOfWrites(), [](uint8_t*) {}, deadline_, [this] { return Over(); }, nullptr, context_);
    if (sent == SendResult::kSent) AwaitFlushed();
    return sent == SendResult::kSent;
  }

  bool Read(internal::InMessage message) override {
    session_->sender_.FlushHeld();
    const Inbox::Got got =
        Took(call_.inbox->Read(message, session_->reactor_, deadline_, [this] { return Cancelled(); }));
    return got == Inbox::Got::kTimedOut ? TimedOut() : got == Inbox::Got::kMessage;
  }

  void WaitForInitialMetadata() override {
    session_->sender_.FlushHeld();
    session_->reactor_->Wait([this] { return call_.has_initial_metadata.load(std::memory_order_seq_cst) || Over(); },
                             &call_.spot, deadline_);
  }

  absl::Status Finish() override {
    NEARCALL_STEP("client.stream.finish");
    session_->sender_.FlushHeld();
    session_->reactor_->Wait([this] { return Over(); }, &call_.spot, deadline_);
    return End(/*cancel=*/false);
  }

  Tried TryWrite(internal::OutMessage message, WriteOptions options) override {
    if (writes_done_ || OverOrLate()) return Tried::kOver;
    if (queued_.load(std::memory_order_acquire) || !call_.credit.available()) return Tried::kNotYet;
    const SizedMessage out(message);
    if (!Fits(out)) return Tried::kOver;
    call_.credit.Spend(out.size);
    writes_done_ = options.last_message;
    queued_.store(true, std::memory_order_relaxed);
    if (SendOrQueueMessage(&session_->sender_, call_.ticket.id,
                           options.last_message ? frame_flags::kEndStream : uint8_t{0}, out, this)) {
      queued_.store(false, std::memory_order_relaxed);
    } else {
      has_queued_ = true;
    }
    return Tried::kDone;
  }

  Tried TryWritesDone() override {
    if (writes_done_ || OverOrLate()) return Tried::kOver;
    if (queued_.load(std::memory_order_acquire)) return Tried::kNotYet;
    writes_done_ = true;
    session_->sender_.SendOrQueue(
        EndOfWrites(), [](uint8_t*) {}, nullptr);
    return Tried::kDone;
  }

  Tried TryRead(internal::InMessage message) override {
    switch (Took(call_.inbox->TryRead(message))) {
      case Inbox::Got::kMessage:
        return Tried::kDone;
      case Inbox::Got::kTimedOut:
        return OverOrLate() ? Tried::kOver : Tried::kNotYet;
      default:
        return Tried::kOver;
    }
  }

  Tried TryWaitForInitialMetadata() override {
    if (call_.has_initial_metadata.load(std::memory_order_seq_cst)) return Tried::kDone;
    return OverOrLate() ? Tried::kOver : Tried::kNotYet;
  }

  Tried TryFinish(absl::Status* status) override {
    if (!OverOrLate()) return Tried::kNotYet;
    // Nobody reads what came for a call that was cancelled, even if its end came before that.
    const bool given_up =
        !open_ || !Calls::IsDone(call_.ticket) || timed_out_.load(std::memory_order_relaxed) || Cancelled();
    if (!given_up && call_.status.ok() && !call_.inbox->Drained()) return Tried::kNotYet;
    *status = End(/*cancel=*/false);
    return Tried::kDone;
  }

 private:
  bool Cancelled() const { return internal::ClientContextAccess::cancelled(*context_); }
  bool Over() const { return !open_ || Calls::IsDone(call_.ticket) || Cancelled(); }

  // Of a call that is driven: nobody waits for its deadline, so this looks for itself.
  bool OverOrLate() {
    if (Over()) return true;
    if (deadline_ == kNever || MonotonicNanos() < deadline_) return false;
    TimedOut();
    return true;
  }

  void OnSent() override {
    queued_.store(false, std::memory_order_release);
    call_.observer->OnMove();
  }

  // The caller may wait for an effect of what it has sent, elsewhere, where it does not poll. (A driven call's thread
  // polls on.)
  void AwaitFlushed() {
    if (call_.observer != nullptr) return;
    session_->sender_.AwaitFlushed(&call_.writer_spot, deadline_, [this] { return Over(); });
  }

  // False, and the call fails, when the message is over the limit.
  bool Fits(const SizedMessage& out) {
    absl::Status fits = CheckSendSize(session_->options_, out.size);
    if (fits.ok()) return true;
    local_error_ = std::move(fits);
    context_->TryCancel();
    return false;
  }

  FrameHeader EndOfWrites() const {
    FrameHeader header{};
    header.kind = static_cast<uint8_t>(FrameKind::kMessage);
    header.flags = frame_flags::kEndStream | frame_flags::kNoMessage;
    header.call = call_.ticket.id;
    header.size = kHeaderSize;
    return header;
  }

  // What follows from a read: credit for the sender, or the call's failure. A call that was cancelled gives none: its
  // reads end with what has come, however quick the server is.
  Inbox::Got Took(Inbox::Got got) {
    if (got == Inbox::Got::kMessage) {
      const uint32_t grant = call_.inbox->TakeGrant();
      if (grant != 0 && open_ && !Cancelled()) SendCredit(grant);
    } else if (got == Inbox::Got::kUnparsable) {
      local_error_ = UnreadableResponse();
      context_->TryCancel();
    }
    return got;
  }

  bool Send(const SizedMessage& out, uint8_t flags, bool hold) {
    const SendResult sent = SendMessage(
        &session_->sender_, call_.ticket.id, flags, out, deadline_, [this] { return Over(); }, nullptr, context_, hold);
    if (sent == SendResult::kSent) AwaitFlushed();
    return sent == SendResult::kTimedOut ? TimedOut() : sent == SendResult::kSent;
  }

  // The time was up in a Read or Write, which says false then. The call ends so, even if the server, whose time is up
  // as well, is quick to call it a success.
  bool TimedOut() {
    timed_out_.store(true, std::memory_order_relaxed);
    return false;
  }

  void SendCredit(uint32_t bytes) {
    if (!session_->sender_.SendNow(FrameKind::kCredit, call_.ticket.id, bytes)) session_->Close();
  }

  // Gives the call's slot back; what the server said, if it has said anything, and otherwise why we did not wait for
  // it.
  absl::Status End(bool cancel) {
    if (!std::exchange(open_, false)) return final_;
    if (has_queued_) session_->sender_.Drop(this);  // OnSent may be running even now
    if (Calls::Close(call_.ticket)) {
      final_ = timed_out_.load(std::memory_order_relaxed) ? session_->GaveUp(*context_) : call_.status;
    } else {
      session_->SendCancel(call_.ticket.id);
      final_ = cancel ? absl::CancelledError("the call was dropped before its end") : session_->GaveUp(*context_);
    }
    Calls::Free(call_.ticket);
    if (!local_error_.ok()) final_ = local_error_;
    return final_;
  }

  const std::shared_ptr<const void> owner_;
  const std::shared_ptr<ClientSession<W>> session_;
  ClientContext* const context_;
  const int64_t deadline_;
  PendingCall call_;
  bool open_ = false;
  bool writes_done_ = false;
  std::atomic<bool> queued_{false};  // of a driven call: a message waits for room; OnSent's release pairs with TryWrite
  bool has_queued_ = false;          // ever
  std::atomic<bool> timed_out_{false};  // set by reader and writer, read after both
  absl::Status local_error_;            // the call was cancelled because of it
  absl::Status final_;
};

template <Wire W>
std::unique_ptr<internal::ClientCall> ClientSession<W>::StartStream(const internal::Method& method,
                                                                    ClientContext* context, int64_t deadline,
                                                                    std::shared_ptr<const void> owner,
                                                                    CallObserver* observer, CallOutcome* outcome) {
  if (!StillUsable()) {
    *outcome = NotSent(SendResult::kClosed, *context, absl::OkStatus());
    return nullptr;
  }
  auto stream =
      std::make_unique<ClientStream<W>>(this->shared_from_this(), std::move(owner), context, deadline, observer);
  *outcome = stream->Begin(method);
  if (!outcome->status.ok()) return nullptr;
  return stream;
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_CLIENT_STREAM_H_
