#ifndef NEARCALL_RUNTIME_ENGINE_SERVER_SESSION_H_
#define NEARCALL_RUNTIME_ENGINE_SERVER_SESSION_H_

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/optional.h"
#include "runtime/base/step.h"
#include "runtime/engine/head.h"
#include "runtime/engine/ping_strikes.h"
#include "runtime/engine/sender.h"
#include "runtime/engine/server_call.h"
#include "runtime/engine/server_core.h"
#include "runtime/engine/session_options.h"
#include "runtime/wire/wire.h"

namespace nearcall {

// The server's side of one connection: takes requests in, has their handlers run, and carries what they send.
//
// Threads: the poller's, unless a function says otherwise.
// Lifetime: the reactor's; it stays until its last call has ended, so a call's pointer to its session is always good.
template <Wire W>
class ServerSession final : public ServerConnection, private BufferNotices {
 public:
  // To be handed to core->AddConnection; `core` must outlive it.
  ServerSession(std::unique_ptr<W> wire, ServerCore* core, SessionOptions options)
      : wire_(std::move(wire)),
        core_(core),
        options_(std::move(options)),
        bytes_(options_.admission != nullptr ? options_.admission->bytes() : nullptr),
        lent_(std::make_shared<LentBuffers>(static_cast<BufferNotices*>(this))),
        borrowed_(options_.max_mapped_bytes, options_.max_mapped_bytes_name, this),
        sender_(wire_.get(), core->reactor(), this, options_.max_backlog_bytes) {}
  ~ServerSession() override;

  // --- Pollable ---
  Polled Poll() override;
  bool PrepareSleep() override { return closed_ || wire_->PrepareSleep(); }
  void FinishSleep(uint32_t ready) override {
    if (!closed_) wire_->FinishSleep(ready);
  }
  int watched_fds(WatchedFd* fds) const override { return wire_->watched_fds(fds); }
  int64_t next_deadline() const override { return closed_ || deadlines_.empty() ? kNever : deadlines_.begin()->first; }
  bool wants_write() const override { return wire_->wants_write(); }

  // --- ServerConnection ---
  void BeginDrain() override;
  void CancelCalls() override;

  // --- For its calls, any thread ---
  ServerCore* core() const { return core_; }
  W* wire() const { return wire_.get(); }
  const SessionOptions& options() const { return options_; }
  Sender<W>* sender() { return &sender_; }
  // What its calls count for, and what the bytes that they hold do; nullptr: without limit.
  Quota* calls_quota() const { return options_.admission != nullptr ? options_.admission->calls() : core_->calls(); }
  Quota* bytes_quota() const { return bytes_; }
  LentBuffers* lent() const { return lent_.get(); }
  absl::StatusOr<Buffer> AllocateBuffer(size_t size) const {
    return wire_->passes_fds() ? lent_->Allocate(size) : Buffer(size);
  }
  void SendCredit(uint32_t id, uint32_t bytes);
  // The call is over; poller, or (Later) any thread. Nothing of the session may be touched after RecycleLater.
  void Recycle(SessionCall<W>* call);
  void RecycleLater(SessionCall<W>* call);
  // Cancels the call, or does so when its deadline passes, if it is still open, on the poller's thread. Any thread,
  // while the call is not over.
  void CancelLater(uint32_t id) { AskLater(id, /*at_deadline=*/false); }
  void WatchDeadlineLater(uint32_t id) { AskLater(id, /*at_deadline=*/true); }

 private:
  static constexpr int kBatch = 64;

  // What handling a frame came to. kConsumed: the frame is released already.
  enum class Handled { kDone, kConsumed, kRoleLost, kViolation };

  // Most frames are requests.
  Handled OnFrame(const Frame& frame) {
    return frame.kind() == FrameKind::kRequest ? OnRequest(frame) : OnOtherFrame(frame);
  }
  Handled OnOtherFrame(const Frame& frame);
  Handled OnRequest(const Frame& frame);
  Handled OnMessage(const Frame& frame);
  Handled OnAttachment(const Frame& frame);
  // What a request comes with beside its message, where that is anything but the number of a method that is served.
  struct UnusualRequest {
    std::string method;
    Metadata metadata;
    std::shared_ptr<ReceivedAttachments> attached;
  };
  // The method that a request asks for by its number and nothing else, as the usual one does; nullptr for any other.
  ServedMethod* UsualMethod(const Frame& frame) const {
    const uint32_t number = frame.header.detail;
    if (frame.header.extra != 0 || number >= numbered_.size() || numbered_[number] == nullptr) return nullptr;
    return numbered_[number]->method;
  }
  // The method that a request asks for, or nullptr; notes its name, and the metadata. *violation if it cannot be
  // understood.
  ServedMethod* ResolveMethod(const Frame& frame, UnusualRequest* unusual, bool* violation);
  Handled OnUnusualRequest(const Frame& frame, SessionCall<W>** entry);
  // Makes a call of a request, unless there is something against it. `entry` is its slot, which is free; `method` may
  // be nullptr, and `unusual` is, where there is nothing unusual.
  Handled Accept(const Frame& frame, SessionCall<W>** entry, ServedMethod* method, UnusualRequest* unusual);
  // The rest of Accept for a call that reads from an inbox: its messages are several, or its one is not here yet.
  Handled AcceptIntoInbox(const Frame& frame, SessionCall<W>* call, const uint8_t* payload, size_t size);
  // Runs the handler here and now, or has a worker run it. `payload` is the one message, where it lies in the frame.
  Handled Dispatch(SessionCall<W>* call, const uint8_t* payload, size_t size);
  Handled DispatchToWorker(SessionCall<W>* call, const uint8_t* payload, size_t size);
  // Something has come for a call: its driver, if it has one, goes on.
  Handled Moved(SessionCall<W>* call);
  // Answers a request that no handler sees.
  void Refuse(uint32_t id, const absl::Status& status, bool not_seen);
  void FailCall(SessionCall<W>* call, const absl::Status& status);
  SessionCall<W>* Find(uint32_t id) const;
  // Where the call of a slot is, or is to be; nullptr if there is no such slot.
  SessionCall<W>** Entry(uint32_t id) {
    const uint32_t slot = id & (kMaxCallSlots - 1);
    return slot < calls_.size() ? &calls_[slot] : AddEntry(slot);
  }
  SessionCall<W>** AddEntry(uint32_t slot);
  SessionCall<W>* NewCall() {
    if (spare_.empty()) return AddCall();
    SessionCall<W>* const call = spare_.back();
    spare_.pop_back();
    return call;
  }
  SessionCall<W>* AddCall();
  void Forget(SessionCall<W>* call);
  void ReapEnded();
  void CancelLate();
  struct Wish {
    uint32_t id;
    bool at_deadline;
  };
  void AskLater(uint32_t id, bool at_deadline);
  void FulfilWishes();
  // The calls in use that are not on their way out: a caller that has its answer may well be back before the thread
  // that gave it has gone.
  size_t Unanswered();
  Polled OnClosed();
  void SendNotice(FrameKind kind, uint32_t buffer, uint16_t detail) override;
  // From here on nothing is said about buffers.
  void CloseBuffers() {
    attached_.clear();
    lent_->Close();
    borrowed_.Close();
  }

  const std::unique_ptr<W> wire_;
  ServerCore* const core_;
  const SessionOptions options_;
  Quota* const bytes_;
  const std::shared_ptr<LentBuffers> lent_;
  BorrowedBuffers borrowed_;
  Sender<W> sender_;
  PingStrikes pings_;

  struct NumberedMethod {
    std::string name;  // as announced; empty where the method is served
    ServedMethod* method = nullptr;
  };
  // Remembers what a number stands for. False: the connection's bytes are used up.
  bool Number(uint32_t number, const std::string& name, ServedMethod* method);
  std::vector<std::unique_ptr<const NumberedMethod>> numbered_;  // by the caller's numbers
  std::vector<SessionCall<W>*> calls_;                           // by slot; nullptr where none is open
  // Of calls whose REQUEST is still to come, by their ids.
  std::map<uint32_t, std::shared_ptr<ReceivedAttachments>> attached_;
  std::vector<std::unique_ptr<SessionCall<W>>> all_calls_;
  std::vector<SessionCall<W>*> spare_;
  size_t open_ = 0;  // calls in use, those that were cancelled and still run included
  bool closed_ = false;
  bool draining_ = false;
  std::multimap<int64_t, SessionCall<W>*> deadlines_;  // when calls that nobody waits in are to be cancelled
  internal::Mutex mu_;
  std::vector<Wish> wishes_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> has_wishes_{false};  // relaxed; a change is followed by a nudge
  // Calls that ended on other threads; they push, the poller takes all.
  std::atomic<SessionCall<W>*> ended_{nullptr};
};

template <Wire W>
ServerSession<W>::~ServerSession() {
  CloseBuffers();
  for (const auto& numbered : numbered_) {
    if (numbered != nullptr && bytes_ != nullptr) bytes_->Give(static_cast<int64_t>(numbered->name.size()));
  }
  core_->RemoveConnection(this);
}

// --- Receiving ---

template <Wire W>
Polled ServerSession<W>::Poll() {
  ReapEnded();
  if (closed_) return OnClosed();
  if (!deadlines_.empty()) CancelLate();
  if (has_wishes_.load(std::memory_order_relaxed)) FulfilWishes();
  bool progress = sender_.Service();
  if (draining_ && progress) core_->CheckIdle();
  for (int i = 0; i < kBatch; ++i) {
    Frame frame;
    switch (wire_->Receive(&frame)) {
      case Received::kNothing:
        return progress ? Polled::kProgress : Polled::kIdle;
      case Received::kClosed:
        return OnClosed();
      case Received::kFrame:
        break;
    }
    progress = true;
    switch (OnFrame(frame)) {
      case Handled::kDone:
        wire_->Release();
        break;
      case Handled::kConsumed:
        if (closed_) return OnClosed();
        break;
      case Handled::kRoleLost:
        return Polled::kRoleLost;
      case Handled::kViolation:
        wire_->Shutdown();
        return OnClosed();
    }
  }
  return Polled::kProgress;
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::OnOtherFrame(const Frame& frame) {
  switch (frame.kind()) {
    case FrameKind::kMessage:
      return OnMessage(frame);
    case FrameKind::kAttachment:
      return OnAttachment(frame);
    case FrameKind::kRelease:
      return lent_->Release(frame.header.extra, frame.header.detail != 0) ? Handled::kDone : Handled::kViolation;
    case FrameKind::kForget:
      return borrowed_.Forget(frame.header.extra) ? Handled::kDone : Handled::kViolation;
    case FrameKind::kCancel:
      if (!attached_.empty()) attached_.erase(frame.header.call);
      if (SessionCall<W>* call = Find(frame.header.call)) {
        Forget(call);
        call->Cancel();
        if (!call->started) Recycle(call);
      }
      return Handled::kDone;
    case FrameKind::kCredit:
      if (SessionCall<W>* call = Find(frame.header.call)) {
        if (!call->Grant(frame.header.extra)) return Handled::kViolation;
        return Moved(call);
      }
      return Handled::kDone;
    case FrameKind::kPing:
      return pings_.Answer(frame, &sender_) ? Handled::kDone : Handled::kViolation;
    case FrameKind::kPong:
      return Handled::kDone;
    case FrameKind::kFdPassing:
      return AnswerFdPassing(frame, wire_.get(), &sender_) ? Handled::kDone : Handled::kViolation;
    default:
      return Handled::kViolation;
  }
}

template <Wire W>
ServedMethod* ServerSession<W>::ResolveMethod(const Frame& frame, UnusualRequest* unusual, bool* violation) {
  const uint32_t number = frame.header.detail;
  const NumberedMethod* const known = number < numbered_.size() ? numbered_[number].get() : nullptr;
  if (frame.header.extra != 0) {
    // Copied before it is looked at: the peer may still change it.
    const size_t skip = frame.has(frame_flags::kHasTimeout) ? sizeof(uint64_t) : 0;
    const std::string bytes(reinterpret_cast<const char*>(frame.payload) + skip, frame.header.extra);
    *violation = !DecodeRequestHead(bytes.data(), bytes.size(), &unusual->method, &unusual->metadata);
    if (*violation) return nullptr;
  }
  if (unusual->method.empty()) {
    *violation = known == nullptr;
    if (*violation) return nullptr;
    unusual->method = known->name;
    return known->method;
  }
  ServedMethod* const method = core_->FindMethod(unusual->method);
  *violation = number != 0 && !Number(number, unusual->method, method);
  return method;
}

template <Wire W>
bool ServerSession<W>::Number(uint32_t number, const std::string& name, ServedMethod* method) {
  if (number >= numbered_.size()) numbered_.resize(number + 1);
  std::unique_ptr<const NumberedMethod>& entry = numbered_[number];
  // Names of methods that are not served are the caller's to invent: they count.
  const size_t size = method == nullptr ? name.size() : 0;
  if (bytes_ != nullptr) {
    if (entry != nullptr) bytes_->Give(static_cast<int64_t>(entry->name.size()));
    entry.reset();
    if (bytes_->Take(static_cast<int64_t>(size)) != nullptr) return false;
  }
  entry = std::make_unique<const NumberedMethod>(NumberedMethod{name.substr(0, size), method});
  return true;
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::OnRequest(const Frame& frame) {
  NEARCALL_STEP("server.request");
  SessionCall<W>** const entry = Entry(frame.header.call);
  if (entry == nullptr) return Handled::kViolation;
  if (*entry != nullptr) {
    // The slot's last user has its answer but has not been reaped; anything else is two calls in one slot.
    if (!(*entry)->answering()) return Handled::kViolation;
    *entry = nullptr;
  }
  ServedMethod* const method = UsualMethod(frame);
  if (method == nullptr || !attached_.empty()) return OnUnusualRequest(frame, entry);
  return Accept(frame, entry, method, nullptr);
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::OnUnusualRequest(const Frame& frame, SessionCall<W>** entry) {
  UnusualRequest unusual;
  if (auto node = attached_.extract(frame.header.call)) unusual.attached = std::move(node.mapped());
  if (unusual.attached != nullptr && !unusual.attached->complete()) return Handled::kViolation;
  bool violation = false;
  ServedMethod* const method = ResolveMethod(frame, &unusual, &violation);
  return violation ? Handled::kViolation : Accept(frame, entry, method, &unusual);
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::Accept(const Frame& frame, SessionCall<W>** entry,
                                                            ServedMethod* method, UnusualRequest* unusual) {
  const uint32_t id = frame.header.call;
  int64_t deadline = kNever;
  size_t skip = frame.header.extra;
  if (frame.has(frame_flags::kHasTimeout)) {
    uint64_t timeout;
    std::memcpy(&timeout, frame.payload, sizeof timeout);
    skip += sizeof timeout;
    if (timeout < static_cast<uint64_t>(INT64_MAX) / 2) deadline = MonotonicNanos() + static_cast<int64_t>(timeout);
  }
  if (draining_) {
    Refuse(id, absl::UnavailableError("the server is shutting down"), /*not_seen=*/true);
    return Handled::kDone;
  }
  const bool generic = method == nullptr && core_->generic_method() != nullptr;
  if (generic) method = core_->generic_method();
  if (method == nullptr) {
    Refuse(id, NoSuchMethod(unusual->method), /*not_seen=*/false);
    return Handled::kDone;
  }
  const bool has_message = frame.has(frame_flags::kHasMessage);
  const size_t size = frame.payload_size() - skip;
  if (has_message && options_.max_receive_bytes >= 0 && size > static_cast<size_t>(options_.max_receive_bytes)) {
    Refuse(id, TooLargeToReceive(options_, size), /*not_seen=*/false);
    return Handled::kDone;
  }
  if (unusual != nullptr && unusual->attached != nullptr && !unusual->attached->status().ok()) {
    Refuse(id, unusual->attached->status(), /*not_seen=*/true);
    return Handled::kDone;
  }
  // Cancelled calls whose handlers still run count, too.
  if (open_ >= options_.max_calls * 2 && Unanswered() >= options_.max_calls * 2) {
    Refuse(id, TooManyCalls(options_), /*not_seen=*/true);
    return Handled::kDone;
  }
  if (const Quota* const lacking = calls_quota()->Take(1)) {
    Refuse(id, TooManyCallsOnServer(*lacking), /*not_seen=*/true);
    return Handled::kDone;
  }

  SessionCall<W>* const call = NewCall();
  call->Begin(id, method, generic ? &unusual->method : nullptr, deadline);
  if (unusual != nullptr) {
    *internal::ServerContextAccess::client_metadata(call->context()) = std::move(unusual->metadata);
    internal::AttachmentsAccess::set_incoming(call->context(), std::move(unusual->attached));
  }
  *entry = call;
  ++open_;
  core_->OnCallBegun();
  NEARCALL_STEP("server.begun");
  if (deadline != kNever && method->handler->drives()) call->timer = deadlines_.emplace(deadline, call);

  if (!has_message || method->type == internal::MethodType::kClientStreaming ||
      method->type == internal::MethodType::kBidiStreaming) {
    return AcceptIntoInbox(frame, call, frame.payload + skip, size);
  }
  return Dispatch(call, frame.payload + skip, size);
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::AcceptIntoInbox(const Frame& frame, SessionCall<W>* call,
                                                                     const uint8_t* payload, size_t size) {
  const bool has_message = frame.has(frame_flags::kHasMessage);
  Inbox* const inbox = call->inbox();
  const Inbox::Put put = has_message ? inbox->PutMessage(payload, size, /*trusted=*/false) : Inbox::Put::kOk;
  if (put == Inbox::Put::kViolation) return Handled::kViolation;
  if (put == Inbox::Put::kTooMuch) {
    FailCall(call, TooMuchBuffered(options_, *inbox->lacking()));
    return Handled::kDone;
  }
  if (frame.has(frame_flags::kEndStream)) inbox->End();
  // A handler that needs exactly one message starts when that is here, or will not come.
  const internal::MethodType type = call->method()->type;
  if (!has_message && !frame.has(frame_flags::kEndStream) &&
      (type == internal::MethodType::kUnary || type == internal::MethodType::kServerStreaming)) {
    return Handled::kDone;
  }
  return Dispatch(call, nullptr, 0);
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::Dispatch(SessionCall<W>* call, const uint8_t* payload,
                                                              size_t size) {
  call->CountBytes(size);
  if (core_->reactor()->may_run_handlers() && call->method()->long_runs.load(std::memory_order_relaxed) <= 0 &&
      core_->workers()->Enter()) {
    return call->RunInline(payload, size) ? Handled::kConsumed : Handled::kRoleLost;
  }
  return DispatchToWorker(call, payload, size);
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::DispatchToWorker(SessionCall<W>* call, const uint8_t* payload,
                                                                      size_t size) {
  if (payload != nullptr) {
    Inbox* const inbox = call->inbox();
    if (inbox->PutMessage(payload, size, /*trusted=*/true) == Inbox::Put::kTooMuch) {
      FailCall(call, TooMuchBuffered(options_, *inbox->lacking()));
      return Handled::kDone;
    }
    inbox->End();
  }
  call->started = true;
  // First the frame goes back: what a handler may have seen must never look unread to a caller whose server dies.
  wire_->Release();
  if (call->method()->handler->drives()) {
    core_->workers()->SubmitShort(call);
  } else {
    core_->workers()->Submit(call);
  }
  return Handled::kConsumed;
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::OnMessage(const Frame& frame) {
  NEARCALL_STEP("server.message");
  SessionCall<W>* const call = Find(frame.header.call);
  if (call == nullptr) return Handled::kDone;                           // cancelled or refused meanwhile
  if (call->started && !call->has_inbox()) return Handled::kViolation;  // its one message came with the request
  Inbox* const inbox = call->inbox();
  switch (inbox->PutFrame(frame, wire_->trusted())) {
    case Inbox::Put::kViolation:
      return Handled::kViolation;
    case Inbox::Put::kTooLarge:
      FailCall(call, TooLargeToReceive(options_, frame.payload_size() + uint64_t{frame.header.extra}));
      return Handled::kDone;
    case Inbox::Put::kTooMuch:
      FailCall(call, TooMuchBuffered(options_, *inbox->lacking()));
      return Handled::kDone;
    case Inbox::Put::kOk:
      break;
  }
  if (call->started) return Moved(call);
  return inbox->HasMessageOrEnd() ? Dispatch(call, nullptr, 0) : Handled::kDone;
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::OnAttachment(const Frame& frame) {
  ReceivedAttachment attachment;
  if (!ReceiveAttachment(frame, wire_.get(), &borrowed_, &attachment)) return Handled::kViolation;
  const uint32_t id = frame.header.call;
  SessionCall<W>** const entry = Entry(id);
  // They come before the call, and every slot has one call at a time.
  if (entry == nullptr || (*entry != nullptr && !(*entry)->answering())) return Handled::kViolation;
  std::shared_ptr<ReceivedAttachments>& attached = attached_[id];
  if (attached == nullptr) {
    if (attached_.size() > options_.max_calls) return Handled::kViolation;
    Quota* const fds = options_.admission != nullptr ? options_.admission->fds() : nullptr;
    attached = std::make_shared<ReceivedAttachments>(bytes_, fds);
  }
  return attached->Add(std::move(attachment)) ? Handled::kDone : Handled::kViolation;
}

template <Wire W>
typename ServerSession<W>::Handled ServerSession<W>::Moved(SessionCall<W>* call) {
  if (!call->driven()) return Handled::kDone;
  wire_->Release();
  return call->DriveInline() ? Handled::kConsumed : Handled::kRoleLost;
}

// --- Sending ---

template <Wire W>
void ServerSession<W>::SendCredit(uint32_t id, uint32_t bytes) {
  NEARCALL_STEP("server.credit");
  if (!sender_.SendNow(FrameKind::kCredit, id, bytes)) wire_->Shutdown();
}

template <Wire W>
void ServerSession<W>::SendNotice(FrameKind kind, uint32_t buffer, uint16_t detail) {
  if (!sender_.SendNow(kind, 0, buffer, detail)) wire_->Shutdown();
}

template <Wire W>
void ServerSession<W>::Refuse(uint32_t id, const absl::Status& status, bool not_seen) {
  const std::string head = EncodeResponseHead(status, Metadata(), Metadata());
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kResponse);
  header.flags = not_seen ? frame_flags::kNotSeen : 0;
  header.call = id;
  header.detail = static_cast<uint16_t>(status.code());
  header.extra = static_cast<uint32_t>(head.size());
  if (!sender_.SendNow(header, head.data(), head.size())) wire_->Shutdown();
}

template <Wire W>
void ServerSession<W>::FailCall(SessionCall<W>* call, const absl::Status& status) {
  Forget(call);
  call->Cancel();
  Refuse(call->id(), status, /*not_seen=*/false);
  if (!call->started) Recycle(call);
}

// --- The calls ---

template <Wire W>
SessionCall<W>* ServerSession<W>::Find(uint32_t id) const {
  const uint32_t slot = id & (kMaxCallSlots - 1);
  if (slot >= calls_.size() || calls_[slot] == nullptr || calls_[slot]->id() != id) return nullptr;
  return calls_[slot];
}

template <Wire W>
SessionCall<W>** ServerSession<W>::AddEntry(uint32_t slot) {
  if (slot >= options_.max_calls) return nullptr;
  calls_.resize(slot + 1);
  return &calls_[slot];
}

template <Wire W>
SessionCall<W>* ServerSession<W>::AddCall() {
  all_calls_.push_back(std::make_unique<SessionCall<W>>(this));
  return all_calls_.back().get();
}

template <Wire W>
void ServerSession<W>::Forget(SessionCall<W>* call) {
  const uint32_t slot = call->id() & (kMaxCallSlots - 1);
  if (calls_[slot] == call) calls_[slot] = nullptr;
}

template <Wire W>
void ServerSession<W>::Recycle(SessionCall<W>* call) {
  NEARCALL_STEP("server.recycle");
  Forget(call);
  if (call->timer.has_value()) deadlines_.erase(*std::exchange(call->timer, absl::nullopt));
  call->Reset();
  spare_.push_back(call);
  --open_;
  core_->OnCallEnded();
}

template <Wire W>
void ServerSession<W>::RecycleLater(SessionCall<W>* call) {
  Reactor* const reactor = core_->reactor();
  SessionCall<W>* head = ended_.load(std::memory_order_relaxed);
  do {
    call->next = head;
  } while (!ended_.compare_exchange_weak(head, call, std::memory_order_release, std::memory_order_relaxed));
  reactor->Nudge(this);  // by address only: the session may be gone by now
}

template <Wire W>
void ServerSession<W>::ReapEnded() {
  if (ended_.load(std::memory_order_relaxed) == nullptr) return;
  SessionCall<W>* call = ended_.exchange(nullptr, std::memory_order_acquire);  // pairs with RecycleLater's release
  while (call != nullptr) {
    SessionCall<W>* const next = call->next;
    Recycle(call);
    call = next;
  }
}

template <Wire W>
void ServerSession<W>::CancelLate() {
  const int64_t now = MonotonicNanos();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    SessionCall<W>* const call = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    call->timer.reset();
    call->OnDeadline();
  }
}

template <Wire W>
void ServerSession<W>::AskLater(uint32_t id, bool at_deadline) {
  {
    internal::MutexLock lock(&mu_);
    wishes_.push_back(Wish{id, at_deadline});
  }
  has_wishes_.store(true, std::memory_order_relaxed);
  core_->reactor()->Nudge(this);
}

template <Wire W>
void ServerSession<W>::FulfilWishes() {
  std::vector<Wish> wishes;
  has_wishes_.store(false, std::memory_order_relaxed);
  {
    internal::MutexLock lock(&mu_);
    wishes.swap(wishes_);
  }
  for (const Wish& wish : wishes) {
    SessionCall<W>* const call = Find(wish.id);
    if (call == nullptr || call->answering()) continue;
    if (!wish.at_deadline) {
      FailCall(call, absl::CancelledError("the server cancelled the call"));
    } else if (!call->timer.has_value()) {
      call->timer = deadlines_.emplace(call->deadline(), call);
    }
  }
}

template <Wire W>
size_t ServerSession<W>::Unanswered() {
  ReapEnded();
  size_t unanswered = open_;
  for (const std::unique_ptr<SessionCall<W>>& call : all_calls_) unanswered -= call->answering() ? 1 : 0;
  return unanswered;
}

// --- Ending ---

template <Wire W>
void ServerSession<W>::BeginDrain() {
  if (std::exchange(draining_, true)) return;
  sender_.SendNow(FrameKind::kGoAway, 0);
}

template <Wire W>
void ServerSession<W>::CancelCalls() {
  for (SessionCall<W>* call : std::vector<SessionCall<W>*>(calls_)) {
    if (call != nullptr) FailCall(call, absl::CancelledError("the server is shutting down"));
  }
}

template <Wire W>
Polled ServerSession<W>::OnClosed() {
  if (!std::exchange(closed_, true)) {
    NEARCALL_STEP("server.closed");
    // Cancelled before nothing can be sent any more: a handler whose Write says false finds its call cancelled.
    for (SessionCall<W>* call : std::vector<SessionCall<W>*>(calls_)) {
      if (call == nullptr) continue;
      Forget(call);
      call->Cancel();
      if (!call->started) Recycle(call);
    }
    sender_.Close();
    CloseBuffers();
    core_->CheckIdle();
  }
  return open_ == 0 ? Polled::kFinished : Polled::kClosing;
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_SERVER_SESSION_H_
