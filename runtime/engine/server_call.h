#ifndef NEARCALL_RUNTIME_ENGINE_SERVER_CALL_H_
#define NEARCALL_RUNTIME_ENGINE_SERVER_CALL_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/server_call.h"
#include "runtime/engine/credit.h"
#include "runtime/engine/head.h"
#include "runtime/engine/inbox.h"
#include "runtime/engine/message_sender.h"
#include "runtime/engine/pending_call.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/worker_pool.h"

namespace nearcall {

template <Wire W>
class ServerSession;

// One call on the server. The session makes it, reuses it, and owns it; the handler sees it as an internal::ServerCall.
//
// A call runs in one of two ways. On the poller's own thread ("inline"): its first message still lies in the Wire; Read
// parses it there, frees the frame and lends the role of poller, so that the user's code never holds anything that
// others need. Or on a worker, from its inbox.
//
// It is over when its handler has returned *and* Finish was called, in whichever order and on whichever threads; the
// last of the two gives it back to the session.
//
// Threads: as internal::ServerCall says; the rest is the poller's, unless it says otherwise.
template <Wire W>
class SessionCall final : public internal::ServerCall, public Runnable {
 public:
  explicit SessionCall(ServerSession<W>* session) : session_(session) {}

  // Makes the call ready, as new.
  void Begin(uint32_t id, ServedMethod* method, int64_t deadline);

  uint32_t id() const { return id_; }
  ServedMethod* method() const { return method_; }
  ServerContext* context() override { return &context_; }
  Inbox* inbox() {
    if (inbox_ == nullptr) {
      const SessionOptions& options = session_->options();
      inbox_ = std::make_unique<Inbox>(options.max_receive_bytes, options.receive_window, nullptr);
    }
    return inbox_.get();
  }
  // The caller grants more room. False if that is absurd. Poller.
  bool Grant(uint32_t bytes) {
    const bool sane = credit_.Grant(bytes);
    writer_spot_.Notify();
    return sane;
  }

  // --- internal::ServerCall: the handler ---
  bool Read(internal::InMessage message) override;
  bool Write(internal::OutMessage message, WriteOptions options) override;
  bool SendInitialMetadata() override;
  void Finish(const absl::Status& status) override { FinishWith(status, nullptr); }
  void FinishWithMessage(internal::OutMessage message) override {
    const SizedMessage out(message);
    FinishWith(absl::OkStatus(), &out);
  }

  // Runs the handler on the poller's thread; its first message lies at `payload` in the Wire's current frame (nullptr:
  // there is none). False when the role of poller was lost meanwhile. The frame is released in any case.
  bool RunInline(const uint8_t* payload, size_t size);
  void RunOnWorker() override;

  // Nobody waits for the answer any more: wakes the handler, drops what it sends. Poller.
  void Cancel();
  bool cancelled() const { return internal::ServerContextAccess::cancelled(context_); }
  // When nobody waits for the answer any more.
  int64_t deadline() const { return internal::ServerContextAccess::deadline(context_); }
  // Whether the answer may be on its way already: the caller may then use the slot anew. Pairs with FinishWith.
  bool answering() const { return answering_.load(std::memory_order_seq_cst); }
  // Whether a handler was started. Otherwise the session may drop the call.
  bool started = false;
  SessionCall* next = nullptr;  // in the session's list of ended calls

 private:
  void FinishWith(absl::Status status, const SizedMessage* message);
  bool SendResponse(const absl::Status& status, const SizedMessage* message);
  void ReleaseFrame();
  static SessionCall*& RunningOnThisThread();
  // One of the two ends has come. True for the second.
  bool SecondEnd() { return ends_.fetch_add(1, std::memory_order_acq_rel) == 1; }

  ServerSession<W>* const session_;
  uint32_t id_ = 0;
  ServedMethod* method_ = nullptr;
  ServerContext context_;
  std::unique_ptr<Inbox> inbox_;
  Credit credit_;
  WaitSpot writer_spot_;
  bool metadata_sent_ = false;
  std::atomic<bool> answering_{false};

  // Of an inline run.
  const uint8_t* payload_ = nullptr;
  size_t payload_size_ = 0;
  bool holds_frame_ = false;
  bool leased_ = false;
  bool finished_in_run_ = false;  // by the thread that runs the handler, inside Run
  Reactor::Lease lease_;
  std::atomic<int> ends_{0};
};

template <Wire W>
SessionCall<W>*& SessionCall<W>::RunningOnThisThread() {
  static thread_local SessionCall* running = nullptr;
  return running;
}

template <Wire W>
void SessionCall<W>::Begin(uint32_t id, ServedMethod* method, int64_t deadline) {
  id_ = id;
  method_ = method;
  internal::ServerContextAccess::Reset(&context_, session_->options().peer.get(), method->name, deadline);
  inbox_.reset();
  credit_.Reset(session_->options().send_window);
  metadata_sent_ = started = finished_in_run_ = false;
  answering_.store(false, std::memory_order_relaxed);
  ends_.store(0, std::memory_order_relaxed);
}

// --- Running ---

template <Wire W>
bool SessionCall<W>::RunInline(const uint8_t* payload, size_t size) {
  started = true;
  payload_ = payload;
  payload_size_ = size;
  holds_frame_ = true;
  leased_ = false;
  if (payload == nullptr) ReleaseFrame();  // nothing to read here: the handler may wait for its messages right away
  SessionCall*& running = RunningOnThisThread();
  SessionCall* const outer = std::exchange(running, this);
  ServedMethod* const method = method_;
  ServerSession<W>* const session = session_;
  const uint64_t began = CycleCount();
  method->handler->Run(this);
  const bool was_long = CycleCount() - began > CyclesIn(kLongRunNanos);
  running = outer;
  // If Finish was called on another thread it may be the second end in no time: `this` is used with care from here on.
  if (holds_frame_) ReleaseFrame();  // the handler never read
  Reactor::Lease* const lease = &lease_;
  const bool still_poller = session->core()->reactor()->EndLease(lease);
  if (was_long || !still_poller) method->long_runs.store(kLongRuns, std::memory_order_relaxed);
  if (finished_in_run_ || SecondEnd()) {
    if (still_poller) {
      session->Recycle(this);
    } else {
      session->RecycleLater(this);
    }
  }
  return still_poller;
}

template <Wire W>
void SessionCall<W>::ReleaseFrame() {
  holds_frame_ = false;
  payload_ = nullptr;
  session_->wire()->Release();
  session_->core()->reactor()->BeginLease(&lease_);
}

template <Wire W>
void SessionCall<W>::RunOnWorker() {
  SessionCall*& running = RunningOnThisThread();
  SessionCall* const outer = std::exchange(running, this);
  const int64_t began = MonotonicNanos();
  if (context_.IsCancelled()) {
    Finish(absl::DeadlineExceededError("the call was over before its turn came"));  // nobody waits: nobody need work
  } else {
    method_->handler->Run(this);
  }
  running = outer;
  // A method whose calls are short again goes back to the poller's thread.
  if (MonotonicNanos() - began < kShortRunNanos) method_->long_runs.fetch_sub(1, std::memory_order_relaxed);
  if (finished_in_run_ || SecondEnd()) session_->RecycleLater(this);
}

template <Wire W>
void SessionCall<W>::Cancel() {
  internal::ServerContextAccess::Cancel(&context_);
  if (inbox_ != nullptr) inbox_->Close(/*drop=*/true);
  writer_spot_.Notify();
  session_->sender()->WakeWaiting();
}

// --- What the handler does ---

template <Wire W>
bool SessionCall<W>::Read(internal::InMessage message) {
  if (payload_ != nullptr) {
    const bool parsed = ParsePayload(message, payload_, payload_size_, session_->wire()->trusted());
    ReleaseFrame();
    return parsed;
  }
  if (inbox_ == nullptr) return false;
  const Inbox::Got got = inbox_->Read(message, session_->core()->reactor(), deadline(), [this] { return cancelled(); });
  if (got != Inbox::Got::kMessage) return false;
  if (const uint32_t grant = inbox_->TakeGrant(); grant != 0 && !cancelled()) session_->SendCredit(id_, grant);
  return true;
}

template <Wire W>
bool SessionCall<W>::Write(internal::OutMessage message, WriteOptions) {
  if (!metadata_sent_ && !internal::ServerContextAccess::initial_metadata(context_).empty() && !SendInitialMetadata()) {
    return false;
  }
  const SizedMessage out(message);
  if (!CheckSendSize(session_->options(), out.size).ok()) return false;
  session_->core()->reactor()->Wait([this] { return credit_.available() || cancelled(); }, &writer_spot_, deadline());
  if (cancelled() || !credit_.available()) return false;
  credit_.Spend(out.size);
  return SendMessage(
             session_->sender(), session_->wire()->max_frame_size(), id_, 0, out, deadline(),
             [this] { return cancelled(); }, nullptr) == SendResult::kSent;
}

template <Wire W>
bool SessionCall<W>::SendInitialMetadata() {
  if (metadata_sent_) return true;
  metadata_sent_ = true;
  const Metadata& metadata = internal::ServerContextAccess::initial_metadata(context_);
  if (!CheckMetadata(metadata).ok()) return true;  // Finish reports it
  const std::string head = EncodeResponseHead(absl::OkStatus(), metadata, Metadata());
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kHeaders);
  header.call = id_;
  header.extra = static_cast<uint32_t>(head.size());
  header.size = static_cast<uint32_t>(kHeaderSize + head.size());
  return session_->sender()->Send(
             header, [&](uint8_t* to) { std::memcpy(to, head.data(), head.size()); }, deadline(),
             [this] { return cancelled(); }) == SendResult::kSent;
}

template <Wire W>
void SessionCall<W>::FinishWith(absl::Status status, const SizedMessage* message) {
  if (!cancelled()) {
    if (message != nullptr) {
      absl::Status fits = CheckSendSize(session_->options(), message->size);
      if (!fits.ok()) {
        status = std::move(fits);
        message = nullptr;
      }
    }
    SendResponse(status, message);
  }
  if (RunningOnThisThread() == this) {
    finished_in_run_ = true;  // the end of the run, on this very thread, sees it
  } else if (SecondEnd()) {
    session_->RecycleLater(this);
  }
}

template <Wire W>
bool SessionCall<W>::SendResponse(const absl::Status& status, const SizedMessage* message) {
  const auto aborted = [this] { return cancelled(); };
  const Metadata& initial = internal::ServerContextAccess::initial_metadata(context_);
  const Metadata& trailing = internal::ServerContextAccess::trailing_metadata(context_);
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kResponse);
  header.call = id_;
  header.detail = static_cast<uint16_t>(status.code());
  std::string head;
  if (!status.ok() || !trailing.empty() || (!initial.empty() && !metadata_sent_)) {
    absl::Status metadata_status = CheckMetadata(initial);
    metadata_status.Update(CheckMetadata(trailing));
    if (!metadata_status.ok()) {
      header.detail = static_cast<uint16_t>(absl::StatusCode::kInternal);
      message = nullptr;
      head = EncodeResponseHead(
          absl::InternalError(absl::StrCat("the handler of ", method_->name, " added bad ", metadata_status.message())),
          Metadata(), Metadata());
    } else {
      head = EncodeResponseHead(status, metadata_sent_ ? Metadata() : initial, trailing);
    }
  }
  header.extra = static_cast<uint32_t>(head.size());
  size_t payload = head.size();
  const uint32_t max_frame = session_->wire()->max_frame_size();
  if (message != nullptr) {
    if (payload + message->size <= max_frame - kHeaderSize) {
      header.flags = frame_flags::kHasMessage;
      payload += message->size;
    } else {
      if (SendMessage(session_->sender(), max_frame, id_, frame_flags::kEndStream, *message, deadline(), aborted,
                      nullptr) != SendResult::kSent) {
        return false;
      }
      message = nullptr;
    }
  }
  header.size = static_cast<uint32_t>(kHeaderSize + payload);
  answering_.store(true, std::memory_order_seq_cst);  // before the caller can see the answer
  return session_->sender()->Send(
             header,
             [&](uint8_t* to) {
               if (!head.empty()) std::memcpy(to, head.data(), head.size());
               if (message != nullptr) message->message.SerializeTo(to + head.size());
             },
             deadline(), aborted) == SendResult::kSent;
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SERVER_CALL_H_
