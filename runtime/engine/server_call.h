#ifndef NEARCALL_RUNTIME_ENGINE_SERVER_CALL_H_
#define NEARCALL_RUNTIME_ENGINE_SERVER_CALL_H_

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "nearcall/internal/context_access.h"
#include "nearcall/internal/server_call.h"
#include "runtime/base/step.h"
#include "runtime/engine/attachments.h"
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
// others need. Or on a worker, from its inbox. A handler may leave the rest of its call to a driver, which runs
// whenever the call has moved: by the poller, like a handler, or on a worker.
//
// It is over when its handler has returned *and* Finish was called (a driver: has said that it is done), in whichever
// order and on whichever threads; the last of the two gives it back to the session.
//
// Threads: as internal::ServerCall says; the rest is the poller's, unless it says otherwise.
template <Wire W>
class SessionCall final : public internal::ServerCall, public Runnable, private SendObserver {
  using Tried = internal::Tried;

 public:
  explicit SessionCall(ServerSession<W>* session) : session_(session), credit_(session->options().send_window) {}

  // A call comes, for one that is as new. `name` is what the method is called where that is not its own name; taken.
  void Begin(uint32_t id, ServedMethod* method, std::string* name, int64_t deadline);
  // It is over: gives back what it held of the quotas, and of the peer's buffers, and is as new. Here and not when the
  // next one comes, whose caller would wait for it.
  void Reset();

  uint32_t id() const { return id_; }
  ServedMethod* method() const { return method_; }
  ServerContext* context() override { return &context_; }
  bool has_inbox() const { return inbox_ != nullptr; }
  // Makes one if there is none: before the handler starts.
  Inbox* inbox() {
    if (inbox_ == nullptr) {
      const SessionOptions& options = session_->options();
      inbox_ =
          std::make_unique<Inbox>(options.max_receive_bytes, options.receive_window, nullptr, session_->bytes_quota());
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
  void TryCancel() override { session_->CancelLater(id_); }
  void WatchDeadline() override { session_->WatchDeadlineLater(id_); }
  absl::StatusOr<Buffer> AllocateBuffer(size_t size) override { return session_->AllocateBuffer(size); }

  // --- internal::ServerCall: the driver ---
  void StartDriving(std::shared_ptr<internal::ServerDriver> driver) override;
  void Wake() override {
    if (Schedule()) session_->core()->workers()->SubmitShort(this);
  }
  Tried TryWrite(internal::OutMessage message, WriteOptions options) override;
  Tried TryRead(internal::InMessage message) override;
  Tried TrySendInitialMetadata() override;
  Tried TryFinish(const absl::Status& status, const internal::OutMessage* message) override;

  // Whether the call has a driver. Poller; to be called after what moved the call, for Drive looks the other way round.
  bool driven() const { return drive_.load(std::memory_order_seq_cst) != Driving::kNever; }
  // The call has moved. Drives it here and now, if that can be, with the frame released. False: the role of poller was
  // lost meanwhile. Poller.
  bool DriveInline();
  // The same, but never here and now. Poller.
  void Moved() {
    if (driven()) Wake();
  }

  // Runs the handler on the poller's thread; its first message lies at `payload` in the Wire's current frame (nullptr:
  // there is none). False when the role of poller was lost meanwhile. The frame is released in any case.
  bool RunInline(const uint8_t* payload, size_t size);
  void RunOnWorker() override;

  // Nobody waits for the answer any more: wakes the handler, drops what it sends. Poller.
  void Cancel();
  // The deadline has passed: the caller's clock rings, too. Tells the handler; what it waits for ends. Poller.
  void OnDeadline() {
    session_->core()->TellHandler(&context_);
    Moved();
  }
  bool cancelled() const { return internal::ServerContextAccess::cancelled(context_); }
  // When nobody waits for the answer any more.
  int64_t deadline() const { return internal::ServerContextAccess::deadline(context_); }
  // Whether the answer may be on its way already: the caller may then use the slot anew. What tells it so, and its next
  // request, come after the stores that this pairs with.
  bool answering() const { return answering_.load(std::memory_order_acquire); }
  // The call does not count any more (Admission::calls). By whoever ends it.
  void Uncount() {
    if (std::exchange(counted_, false)) session_->calls_quota()->Give(1);
  }
  // Bytes of messages take their time wherever the handler runs, and do not make it a long one. By the thread that runs
  // it, or before.
  void CountBytes(size_t bytes) { bytes_in_run_ += bytes; }
  // Whether a handler was started. Otherwise the session may drop the call.
  bool started = false;
  SessionCall* next = nullptr;  // in the session's list of ended calls
  // In the session's list of deadlines. The poller's.
  absl::optional<typename std::multimap<int64_t, SessionCall*>::iterator> timer;

 private:
  // What the one who drives a call goes by.
  enum class Driving : uint8_t {
    kNever,      // there is no driver
    kRests,      // until the call moves
    kWaits,      // for a thread
    kRuns,       //
    kRunsAgain,  // the call has moved meanwhile
    kOver,
  };

  void FinishWith(const absl::Status& status, const SizedMessage* message);
  // Whether the call ends as most do: with OK, one message that fits a frame, and nothing else.
  bool IsUsualEnd(const absl::Status& status, const SizedMessage* message) {
    return message != nullptr && !NeedsHead(status) && !context_.IsCancelled() &&
           internal::AttachmentsAccess::outgoing(context_) == nullptr &&
           message->size <= MaxSendSize(session_->options()) &&
           kHeaderSize + message->size <= session_->sender()->MaxFrame(message->size);
  }
  // Whether there is more to say at the end of the call than a message.
  bool NeedsHead(const absl::Status& status) const {
    return !status.ok() || !internal::ServerContextAccess::trailing_metadata(context_).empty() || has_unsent_metadata();
  }
  // The head of the frame that ends the call, and with which status it does: the handler may have added bad metadata.
  absl::Status EncodeHead(const absl::Status& status, std::string* head);
  // The header and the head of the frame that ends the call; *message is null afterwards if it is not to be sent.
  FrameHeader ResponseHeader(const absl::Status& status, const SizedMessage** message, std::string* head);
  void SendUsualEnd(const SizedMessage& message);
  // An end of any other kind, and what is attached to it.
  void SendUnusualEnd(absl::Status status, const SizedMessage* message);
  void SendResponse(const absl::Status& status, const SizedMessage* message);
  // Sends the frame that ends the call.
  template <class Fill>
  void SendEnd(const FrameHeader& header, const Fill& fill);
  // How the call ends where its handler says `status`. Once the deadline has passed nothing is a success, and a handler
  // that gave up because of it says CANCELLED.
  absl::Status Ending(absl::Status status) const {
    if ((status.ok() || absl::IsCancelled(status)) && context_.IsCancelled()) {
      return absl::DeadlineExceededError("the deadline passed before the handler was done");
    }
    return status;
  }
  // What is attached to the answer goes before it, and is held no longer here: a caller that has its answer finds the
  // buffers free that it gives back, however slow this thread ends the call. False: nobody waits for it any more; with
  // an error in *status there is nothing of it on the way, and the call ends so.
  template <class Send>
  bool SendAttached(absl::Status* status, const Send& send);
  // What came of a read: credit for the caller.
  bool Took(Inbox::Got got);
  bool ReadFromInbox(internal::InMessage message);
  bool has_unsent_metadata() const {
    return !metadata_sent_ && !internal::ServerContextAccess::initial_metadata(context_).empty();
  }
  FrameHeader HeadersHeader(std::string* head);
  void OnSent() override;
  // The call has moved. True: the calling thread is to see to it that Drive runs.
  bool Schedule();
  // Has the driver run, as often as it must. The calling thread has the right to. True: the call is over.
  bool Drive();
  void DriveOnWorker();
  void ReleaseFrame();
  // How long the handler's own code took in a run that is timed, in cycles: from `began` to its answer. What sending
  // that takes is not its doing, and a caller that is woken may well get this CPU first.
  uint64_t TimeOfRun(uint64_t began) const {
    const uint64_t took = (finished_in_run_ ? finished_at_ : CycleCount()) - began;
    return took - std::min(took, CyclesIn(bytes_in_run_ / kBytesPerNano));
  }
  static SessionCall*& RunningOnThisThread();
  // One of the two ends has come. True for the second.
  bool SecondEnd() { return ends_.fetch_add(1, std::memory_order_acq_rel) == 1; }

  ServerSession<W>* const session_;
  uint32_t id_ = 0;
  ServedMethod* method_ = nullptr;
  std::string generic_name_;  // of a call that the generic handler serves
  ServerContext context_;
  std::unique_ptr<Inbox> inbox_;
  Credit credit_;
  WaitSpot writer_spot_;
  bool metadata_sent_ = false;
  bool counted_ = false;
  uint64_t bytes_in_run_ = 0;
  bool timed_ = true;         // the run
  uint64_t finished_at_ = 0;  // if it is
  std::atomic<bool> answering_{false};

  // Of an inline run.
  const uint8_t* payload_ = nullptr;
  size_t payload_size_ = 0;
  bool holds_frame_ = false;
  bool finished_in_run_ = false;  // by the thread that runs the handler, inside Run
  PollerRole::Lease lease_;
  std::atomic<int> ends_{0};

  // Of a driven call. The thread in kRuns has driver_; the transitions of drive_ hand it on.
  std::atomic<Driving> drive_{Driving::kNever};
  std::shared_ptr<internal::ServerDriver> driver_;
  std::atomic<bool> queued_{false};  // a message waits for room; OnSent's release pairs with TryWrite's acquire
  bool has_queued_ = false;          // ever
  bool answer_sent_ = false;         // the message that goes with the end, but not in its frame
  bool attached_sent_ = false;       // and what is attached
};

template <Wire W>
SessionCall<W>*& SessionCall<W>::RunningOnThisThread() {
  static thread_local SessionCall* running = nullptr;
  return running;
}

template <Wire W>
void SessionCall<W>::Begin(uint32_t id, ServedMethod* method, std::string* name, int64_t deadline) {
  id_ = id;
  method_ = method;
  counted_ = true;
  if (name != nullptr) generic_name_ = std::move(*name);
  internal::ServerContextAccess::Begin(&context_, this, session_->options().peer.get(),
                                       name != nullptr ? generic_name_ : method->name, deadline);
}

template <Wire W>
void SessionCall<W>::Reset() {
  Uncount();
  inbox_.reset();
  internal::ServerContextAccess::Reset(&context_);
  credit_.Reset(session_->options().send_window);
  metadata_sent_ = started = finished_in_run_ = false;
  bytes_in_run_ = 0;
  answering_.store(false, std::memory_order_relaxed);
  ends_.store(0, std::memory_order_relaxed);
  drive_.store(Driving::kNever, std::memory_order_relaxed);
  queued_.store(false, std::memory_order_relaxed);
  has_queued_ = answer_sent_ = attached_sent_ = false;
}

// --- Running ---

template <Wire W>
bool SessionCall<W>::RunInline(const uint8_t* payload, size_t size) {
  started = true;
  payload_ = payload;
  payload_size_ = size;
  holds_frame_ = true;
  ServedMethod* const method = method_;
  const bool timed = method->inline_runs.TimeThis();
  timed_ = timed;
  if (payload == nullptr) ReleaseFrame();  // nothing to read here: the handler may wait for its messages right away
  SessionCall*& running = RunningOnThisThread();
  SessionCall* const outer = std::exchange(running, this);
  ServerSession<W>* const session = session_;
  const uint64_t began = timed ? CycleCount() : 0;
  NEARCALL_STEP("server.run");
  method->handler->Run(this);
  NEARCALL_STEP("server.ran");
  const bool was_long = timed && TimeOfRun(began) > CyclesIn(InlineRuns::kLongRunNanos);
  running = outer;
  // If Finish was called on another thread it may be the second end in no time: `this` is used with care from here on.
  if (holds_frame_) ReleaseFrame();  // the handler never read
  PollerRole::Lease* const lease = &lease_;
  const bool still_poller = session->core()->reactor()->role()->EndLease(lease);
  session->core()->workers()->Leave();
  if (was_long) method->TookLong();
  if (still_poller) session->core()->inline_runs()->Ended(&method->inline_runs, timed, CycleCount());
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
  NEARCALL_STEP("server.lend");
  session_->core()->reactor()->role()->BeginLease(&lease_, method_);
}

template <Wire W>
void SessionCall<W>::RunOnWorker() {
  if (driven()) return DriveOnWorker();
  SessionCall*& running = RunningOnThisThread();
  SessionCall* const outer = std::exchange(running, this);
  timed_ = true;
  const uint64_t began = CycleCount();
  if (context_.IsCancelled()) {
    Finish(absl::DeadlineExceededError("the call was over before its turn came"));  // nobody waits: nobody need work
  } else {
    method_->handler->Run(this);
  }
  running = outer;
  // A method whose calls are short again goes back to the poller's thread.
  if (TimeOfRun(began) < CyclesIn(kShortRunNanos)) method_->long_runs.fetch_sub(1, std::memory_order_relaxed);
  if (finished_in_run_ || SecondEnd()) session_->RecycleLater(this);
}

template <Wire W>
void SessionCall<W>::Cancel() {
  internal::ServerContextAccess::Cancel(&context_);
  session_->core()->TellHandler(&context_);
  if (inbox_ != nullptr) inbox_->Close(/*drop=*/true);
  writer_spot_.Notify();
  session_->sender()->WakeWaiting();
  Moved();
}

// --- Driving ---

template <Wire W>
void SessionCall<W>::StartDriving(std::shared_ptr<internal::ServerDriver> driver) {
  if (holds_frame_) ReleaseFrame();
  driver_ = std::move(driver);
  if (!Drive()) return;
  if (timed_) finished_at_ = CycleCount();
  finished_in_run_ = true;
}

template <Wire W>
bool SessionCall<W>::Schedule() {
  Driving state = drive_.load(std::memory_order_seq_cst);
  for (;;) {
    Driving next;
    switch (state) {
      case Driving::kRests:
        next = Driving::kWaits;
        break;
      case Driving::kRuns:
        next = Driving::kRunsAgain;
        break;
      default:
        return false;
    }
    if (drive_.compare_exchange_weak(state, next, std::memory_order_seq_cst)) return next == Driving::kWaits;
  }
}

template <Wire W>
bool SessionCall<W>::Drive() {
  drive_.store(Driving::kRuns, std::memory_order_seq_cst);
  for (;;) {
    if (driver_->Drive()) {
      drive_.store(Driving::kOver, std::memory_order_seq_cst);
      if (has_queued_) session_->sender()->Drop(this);  // OnSent may be running even now
      std::exchange(driver_, nullptr)->OnDone();
      return true;
    }
    Driving state = Driving::kRuns;
    if (drive_.compare_exchange_strong(state, Driving::kRests, std::memory_order_seq_cst)) return false;
    drive_.store(Driving::kRuns, std::memory_order_seq_cst);
  }
}

template <Wire W>
bool SessionCall<W>::DriveInline() {
  if (!Schedule()) return true;
  Reactor* const reactor = session_->core()->reactor();
  if (!reactor->may_run_handlers() || method_->long_runs.load(std::memory_order_relaxed) > 0) {
    session_->core()->workers()->SubmitShort(this);
    return true;
  }
  ServedMethod* const method = method_;
  ServerSession<W>* const session = session_;
  PollerRole::Lease lease;
  const bool timed = method->inline_runs.TimeThis();
  reactor->role()->BeginLease(&lease, method);
  const uint64_t began = timed ? CycleCount() : 0;
  const bool over = Drive();
  const uint64_t now = CycleCount();
  const bool still_poller = reactor->role()->EndLease(&lease);
  if (timed && now - began > CyclesIn(InlineRuns::kLongRunNanos)) method->TookLong();
  if (still_poller) session->core()->inline_runs()->Ended(&method->inline_runs, timed, now);
  if (over && SecondEnd()) {
    if (still_poller) {
      session->Recycle(this);
    } else {
      session->RecycleLater(this);
    }
  }
  return still_poller;
}

template <Wire W>
void SessionCall<W>::DriveOnWorker() {
  ServedMethod* const method = method_;
  const uint64_t began = CycleCount();
  const bool over = Drive();  // if not, another thread may have the call by now
  if (CycleCount() - began < CyclesIn(kShortRunNanos) && method->long_runs.load(std::memory_order_relaxed) > 0) {
    method->long_runs.fetch_sub(1, std::memory_order_relaxed);
  }
  if (over && SecondEnd()) session_->RecycleLater(this);
}

template <Wire W>
void SessionCall<W>::OnSent() {
  queued_.store(false, std::memory_order_release);
  Wake();
}

// --- What the handler does ---

template <Wire W>
bool SessionCall<W>::Read(internal::InMessage message) {
  if (payload_ == nullptr) return ReadFromInbox(message);
  const bool parsed = ParsePayload(message, payload_, payload_size_, session_->wire()->trusted());
  ReleaseFrame();
  return parsed;
}

template <Wire W>
bool SessionCall<W>::ReadFromInbox(internal::InMessage message) {
  if (inbox_ == nullptr) return false;
  session_->sender()->FlushHeld();
  const Inbox::Got got = inbox_->Read(message, session_->core()->reactor(), deadline(), [this] { return cancelled(); });
  return Took(got);
}

template <Wire W>
internal::Tried SessionCall<W>::TryRead(internal::InMessage message) {
  if (inbox_ == nullptr) return Tried::kOver;
  const Inbox::Got got = inbox_->TryRead(message);
  if (got == Inbox::Got::kTimedOut) return context_.IsCancelled() ? Tried::kOver : Tried::kNotYet;
  return Took(got) ? Tried::kDone : Tried::kOver;
}

template <Wire W>
bool SessionCall<W>::Took(Inbox::Got got) {
  if (got != Inbox::Got::kMessage) return false;
  if (const uint32_t grant = inbox_->TakeGrant(); grant != 0 && !cancelled()) session_->SendCredit(id_, grant);
  return true;
}

template <Wire W>
bool SessionCall<W>::Write(internal::OutMessage message, WriteOptions options) {
  if (has_unsent_metadata() && !SendInitialMetadata()) return false;
  const SizedMessage out(message);
  if (!CheckSendSize(session_->options(), out.size).ok()) return false;
  if (!credit_.available()) session_->sender()->FlushHeld();
  session_->core()->reactor()->Wait([this] { return credit_.available() || cancelled(); }, &writer_spot_, deadline());
  if (cancelled() || !credit_.available()) return false;
  NEARCALL_STEP("server.write");
  credit_.Spend(out.size);
  const SendResult sent = SendMessage(
      session_->sender(), id_, 0, out, deadline(), [this] { return cancelled(); }, nullptr, nullptr,
      options.buffer_hint);
  return sent == SendResult::kSent;
}

template <Wire W>
internal::Tried SessionCall<W>::TryWrite(internal::OutMessage message, WriteOptions) {
  if (context_.IsCancelled()) return Tried::kOver;
  if (!internal::ServerContextAccess::initial_metadata(context_).empty() && TrySendInitialMetadata() != Tried::kDone) {
    return Tried::kNotYet;
  }
  if (queued_.load(std::memory_order_acquire) || !credit_.available()) return Tried::kNotYet;
  const SizedMessage out(message);
  if (!CheckSendSize(session_->options(), out.size).ok()) return Tried::kOver;
  credit_.Spend(out.size);
  queued_.store(true, std::memory_order_relaxed);
  if (SendOrQueueMessage(session_->sender(), id_, 0, out, this)) {
    queued_.store(false, std::memory_order_relaxed);
  } else {
    has_queued_ = true;
  }
  return Tried::kDone;
}

template <Wire W>
FrameHeader SessionCall<W>::HeadersHeader(std::string* head) {
  *head = EncodeResponseHead(absl::OkStatus(), internal::ServerContextAccess::initial_metadata(context_), Metadata());
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kHeaders);
  header.call = id_;
  header.extra = static_cast<uint32_t>(head->size());
  header.size = static_cast<uint32_t>(kHeaderSize + head->size());
  return header;
}

template <Wire W>
internal::Tried SessionCall<W>::TrySendInitialMetadata() {
  if (metadata_sent_) return Tried::kDone;
  if (context_.IsCancelled()) return Tried::kOver;
  metadata_sent_ = true;
  if (!CheckMetadata(internal::ServerContextAccess::initial_metadata(context_)).ok()) return Tried::kDone;  // as below
  std::string head;
  const FrameHeader header = HeadersHeader(&head);
  session_->sender()->SendOrQueue(
      header, [&](uint8_t* to) { std::memcpy(to, head.data(), head.size()); }, nullptr);
  return Tried::kDone;
}

template <Wire W>
bool SessionCall<W>::SendInitialMetadata() {
  if (metadata_sent_) return true;
  metadata_sent_ = true;
  if (!CheckMetadata(internal::ServerContextAccess::initial_metadata(context_)).ok()) return true;  // Finish reports it
  std::string head;
  const FrameHeader header = HeadersHeader(&head);
  return session_->sender()->Send(
             header, [&](uint8_t* to) { std::memcpy(to, head.data(), head.size()); }, deadline(),
             [this] { return cancelled(); }) == SendResult::kSent;
}

template <Wire W>
void SessionCall<W>::FinishWith(const absl::Status& status, const SizedMessage* message) {
  const bool in_run = RunningOnThisThread() == this;
  if (in_run) {
    if (timed_) finished_at_ = CycleCount();
    if (message != nullptr) CountBytes(message->size);
  }
  // The handler has returned: the caller hears that its buffers are free before it has its answer, so that its next
  // call can use them.
  internal::AttachmentsAccess::DropIncoming(&context_);
  if (IsUsualEnd(status, message)) {
    SendUsualEnd(*message);
  } else {
    SendUnusualEnd(status, message);
  }
  if (in_run) {
    finished_in_run_ = true;  // the end of the run, on this very thread, sees it
  } else if (SecondEnd()) {
    session_->RecycleLater(this);
  }
}

template <Wire W>
void SessionCall<W>::SendUnusualEnd(absl::Status status, const SizedMessage* message) {
  if (cancelled()) return session_->sender()->FlushHeld();
  status = Ending(std::move(status));
  if (status.ok() && message != nullptr) status = CheckSendSize(session_->options(), message->size);
  const bool attached =
      SendAttached(&status, [this](const FrameHeader& header, const auto& fill, const internal::SharedFd& fd) {
        return session_->sender()->Send(
            header, fill, deadline(), [this] { return cancelled(); }, nullptr, nullptr, /*hold=*/false, fd);
      });
  if (attached) SendResponse(status, status.ok() ? message : nullptr);
}

template <Wire W>
template <class Send>
bool SessionCall<W>::SendAttached(absl::Status* status, const Send& send) {
  const internal::OutgoingAttachments* const attached = internal::AttachmentsAccess::outgoing(context_);
  if (attached == nullptr) return true;
  const bool passes_fds = session_->wire()->passes_fds();
  absl::Status checked = CheckAttachments(*attached, passes_fds, context_.transport());
  if (!checked.ok()) {
    status->Update(std::move(checked));
    return true;
  }
  const SendResult sent = SendAttachments(
      *attached, id_, passes_fds, std::min(session_->sender()->MaxFrame(0), kMaxFrameSize), session_->lent(), send);
  internal::AttachmentsAccess::DropOutgoing(&context_);
  return sent == SendResult::kSent;
}

template <Wire W>
internal::Tried SessionCall<W>::TryFinish(const absl::Status& status, const internal::OutMessage* message) {
  if (cancelled()) return Tried::kOver;
  if (queued_.load(std::memory_order_acquire)) return context_.IsCancelled() ? Tried::kOver : Tried::kNotYet;
  absl::optional<SizedMessage> sized;
  absl::Status ending = Ending(status);
  if (message != nullptr) {
    sized.emplace(*message);
    ending.Update(CheckSendSize(session_->options(), sized->size));
  }
  if (!std::exchange(attached_sent_, true)) {
    internal::AttachmentsAccess::DropIncoming(&context_);  // as in FinishWith
    SendAttached(&ending, [this](const FrameHeader& header, const auto& fill, const internal::SharedFd& fd) {
      session_->sender()->SendOrQueue(header, fill, nullptr, fd);
      return SendResult::kSent;
    });
  }
  const SizedMessage* out = ending.ok() && sized ? &*sized : nullptr;
  std::string head;
  FrameHeader header = ResponseHeader(ending, &out, &head);
  if (out != nullptr && header.flags == 0 && has_unsent_metadata()) {  // they come before every message
    TrySendInitialMetadata();
    header = ResponseHeader(ending, &out, &head);
  }
  const bool together = header.flags != 0;
  if (out != nullptr && !together && !std::exchange(answer_sent_, true)) {
    // The message goes first, in fragments, and the end once it is out.
    queued_.store(true, std::memory_order_relaxed);
    if (!SendOrQueueMessage(session_->sender(), id_, frame_flags::kEndStream, *out, this)) {
      has_queued_ = true;
      return Tried::kNotYet;
    }
    queued_.store(false, std::memory_order_relaxed);
  }
  Uncount();
  answering_.store(true, std::memory_order_release);  // before the caller can see the answer
  session_->sender()->SendOrQueue(
      header,
      [&](uint8_t* to) {
        if (!head.empty()) std::memcpy(to, head.data(), head.size());
        if (together) out->message.SerializeTo(to + head.size());
      },
      nullptr);
  return Tried::kDone;
}

template <Wire W>
absl::Status SessionCall<W>::EncodeHead(const absl::Status& status, std::string* head) {
  const Metadata& initial = internal::ServerContextAccess::initial_metadata(context_);
  const Metadata& trailing = internal::ServerContextAccess::trailing_metadata(context_);
  absl::Status metadata_status = CheckMetadata(initial);
  metadata_status.Update(CheckMetadata(trailing));
  if (metadata_status.ok()) {
    *head = EncodeResponseHead(status, metadata_sent_ ? Metadata() : initial, trailing);
    return status;
  }
  absl::Status bad =
      absl::InternalError(absl::StrCat("the handler of ", context_.method(), " added bad ", metadata_status.message()));
  *head = EncodeResponseHead(bad, Metadata(), Metadata());
  return bad;
}

template <Wire W>
FrameHeader SessionCall<W>::ResponseHeader(const absl::Status& status, const SizedMessage** message,
                                           std::string* head) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kResponse);
  header.call = id_;
  head->clear();
  size_t payload = 0;
  if (NeedsHead(status)) {
    const absl::Status encoded = EncodeHead(status, head);
    if (!encoded.ok()) *message = nullptr;
    header.detail = static_cast<uint16_t>(encoded.code());
    payload = head->size();
    header.extra = static_cast<uint32_t>(payload);
  }
  if (*message != nullptr &&
      kHeaderSize + payload + (*message)->size <= session_->sender()->MaxFrame(payload + (*message)->size)) {
    header.flags = frame_flags::kHasMessage;
    payload += (*message)->size;
  }
  header.size = static_cast<uint32_t>(kHeaderSize + payload);
  return header;
}

template <Wire W>
void SessionCall<W>::SendUsualEnd(const SizedMessage& message) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kResponse);
  header.flags = frame_flags::kHasMessage;
  header.call = id_;
  header.size = static_cast<uint32_t>(kHeaderSize + message.size);
  SendEnd(header, [&message](uint8_t* to) { message.message.SerializeTo(to); });
}

template <Wire W>
void SessionCall<W>::SendResponse(const absl::Status& status, const SizedMessage* message) {
  std::string head;
  FrameHeader header = ResponseHeader(status, &message, &head);
  if (message != nullptr && header.flags == 0 && has_unsent_metadata()) {  // they come before every message
    if (!SendInitialMetadata()) return;
    header = ResponseHeader(status, &message, &head);
  }
  const bool together = header.flags != 0;
  if (message != nullptr && !together &&
      SendMessage(
          session_->sender(), id_, frame_flags::kEndStream, *message, deadline(), [this] { return cancelled(); },
          nullptr) != SendResult::kSent) {
    return;
  }
  SendEnd(header, [&](uint8_t* to) {
    if (!head.empty()) std::memcpy(to, head.data(), head.size());
    if (together) message->message.SerializeTo(to + head.size());
  });
}

template <Wire W>
template <class Fill>
void SessionCall<W>::SendEnd(const FrameHeader& header, const Fill& fill) {
  NEARCALL_STEP("server.answer");
  Uncount();
  answering_.store(true, std::memory_order_release);  // before the caller can see the answer
  session_->sender()->Send(header, fill, deadline(), [this] { return cancelled(); });
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SERVER_CALL_H_
