#ifndef NEARCALL_RUNTIME_ENGINE_CLIENT_SESSION_H_
#define NEARCALL_RUNTIME_ENGINE_CLIENT_SESSION_H_

#include <array>
#include <atomic>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "nearcall/delivery.h"
#include "nearcall/internal/context_access.h"
#include "runtime/base/clock.h"
#include "runtime/base/step.h"
#include "runtime/engine/call_table.h"
#include "runtime/engine/connection.h"
#include "runtime/engine/head.h"
#include "runtime/engine/message_sender.h"
#include "runtime/engine/pending_call.h"
#include "runtime/engine/ping_strikes.h"
#include "runtime/engine/reactor.h"
#include "runtime/engine/sender.h"
#include "runtime/engine/session_options.h"
#include "runtime/wire/wire.h"

namespace nearcall {

template <Wire W>
class ClientStream;

// The client's side of one connection: sends requests, and gives each answer to the call that waits for it.
//
// A call's thread claims a slot in the table, sends its request, then waits in the reactor, where it polls this session
// for itself and for others, or sleeps while another thread does. The answer is parsed by the thread that polls,
// straight from where the Wire holds it into the caller's response.
//
// Threads: the functions of ClientConnection are thread-safe, those of Pollable the poller's.
// Errors: a peer that breaks the protocol closes the connection (INTERNAL for its calls); a peer that is gone fails
// them with UNAVAILABLE, and the status says whether the request may have been seen (delivery.h).
template <Wire W>
class ClientSession final : public ClientConnection,
                            public Pollable,
                            private BufferNotices,
                            public std::enable_shared_from_this<ClientSession<W>> {
 public:
  // To be handed to `reactor` (Reactor::Add) right away; the reactor must outlive the session.
  ClientSession(std::unique_ptr<W> wire, Reactor* reactor, SessionOptions options)
      : ClientConnection(options.peer),
        wire_(std::move(wire)),
        reactor_(reactor),
        options_(std::move(options)),
        sender_(wire_.get(), reactor, this, options_.max_backlog_bytes),
        bytes_("max_buffered_bytes", options_.max_buffered_bytes),
        lent_(std::make_shared<LentBuffers>(static_cast<BufferNotices*>(this))),
        borrowed_(options_.max_mapped_bytes, options_.max_mapped_bytes_name, this),
        calls_(options_.max_calls) {}

  ~ClientSession() override { CloseBuffers(); }

  // --- ClientConnection ---
  CallOutcome Unary(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                    internal::InMessage response, int64_t deadline) override;
  CallOutcome OneWay(const internal::Method& method, ClientContext* context, internal::OutMessage request,
                     int64_t deadline) override;
  CallOutcome StartUnary(const internal::Method& method, PendingCall* call, internal::OutMessage request,
                         int64_t deadline) override;
  CallOutcome EndUnary(PendingCall* call) override;
  std::unique_ptr<internal::ClientCall> StartStream(const internal::Method& method, ClientContext* context,
                                                    int64_t deadline, std::shared_ptr<const void> owner,
                                                    CallObserver* observer, CallOutcome* outcome) override;
  absl::StatusOr<Buffer> AllocateBuffer(size_t size) override {
    return wire_->passes_fds() ? lent_->Allocate(size) : Buffer(size);
  }
  void Close() override { wire_->Shutdown(); }

  // --- Pollable ---
  Polled Poll() override;
  bool PrepareSleep() override { return wire_->PrepareSleep(); }
  void FinishSleep(uint32_t ready) override { wire_->FinishSleep(ready); }
  int watched_fds(WatchedFd* fds) const override { return wire_->watched_fds(fds); }
  bool wants_write() const override { return wire_->wants_write(); }

 private:
  friend class ClientStream<W>;
  using Calls = CallTable<PendingCall>;

  // Frames that one look handles before others get their turn.
  static constexpr int kBatch = 64;

  // A call that nobody waits for: it has its slot, and a context of its own, until its answer is seen to have come.
  struct OneWayCall {
    OneWayCall() : call(&context, internal::InMessage()) {}
    ClientContext context;
    PendingCall call;
    typename Calls::Ticket ticket;
  };
  // One that can be used: one whose answer has come, or a new one. Waits for the oldest when there are too many;
  // nullptr when that takes until `deadline`, or until `context` is cancelled.
  std::unique_ptr<OneWayCall> TakeOneWay(ClientContext* context, int64_t deadline);

  // Sends a request with its head, and with the message if there is one.
  SendResult SendRequest(const internal::Method& method, ClientContext* context, PendingCall* call, uint32_t id,
                         const SizedMessage* request, int64_t deadline, absl::Status* error);
  // Any other than the usual one: of a method that the server knows by number, one message that fits a frame, nothing
  // else but a deadline.
  SendResult SendUnusualRequest(const internal::Method& method, ClientContext* context, PendingCall* call, uint32_t id,
                                const SizedMessage* request, int64_t deadline, absl::Status* error);
  // Writes how long there is until `deadline`, if there is one, as requests begin. What comes after it.
  static uint8_t* FillTimeout(int64_t deadline, uint8_t* to) {
    if (deadline == kNever) return to;
    const int64_t left = std::max<int64_t>(deadline - MonotonicNanos(), 0);
    std::memcpy(to, &left, sizeof left);
    return to + sizeof left;
  }
  static size_t TimeoutSize(int64_t deadline) { return deadline == kNever ? 0 : sizeof(uint64_t); }
  // Whether the server knows the method by its number.
  bool IsAnnounced(uint32_t number) const {
    if (number > kMaxMethodNumber) return false;
    return (announced_[number / 64].load(std::memory_order_relaxed) >> (number % 64) & 1) != 0;
  }
  // Sends what is attached to it, which goes before it.
  SendResult SendAttached(const internal::OutgoingAttachments& attached, ClientContext* context, uint32_t id,
                          int64_t deadline);
  // Nobody polls an idle connection: what has become of it meanwhile shows in a look. False: it is of no use any more.
  bool StillUsable() {
    reactor_->PeekIfQuiet();
    return usable();
  }
  // The outcome of a call whose request was not sent.
  CallOutcome NotSent(SendResult result, const ClientContext& context, absl::Status error);
  // The end of a call that was sent, finished or not: its outcome, and its slot back.
  CallOutcome Conclude(const typename Calls::Ticket& ticket, PendingCall* call);
  absl::Status GaveUp(const ClientContext& context) const;
  absl::Status DisconnectedStatus() const;
  void SendCancel(uint32_t id);

  // False on a violation of the protocol: the connection is to be closed.
  // Most frames are responses.
  bool OnFrame(const Frame& frame) {
    return frame.kind() == FrameKind::kResponse ? OnResponse(frame) : OnOtherFrame(frame);
  }
  bool OnOtherFrame(const Frame& frame);
  bool OnResponse(const Frame& frame);
  bool OnMessage(const Frame& frame);
  bool OnAttachment(const Frame& frame);
  // Gives a call whose answer has come what came before it; false on a violation.
  bool TakeAttached(PendingCall* call);
  bool OnHeaders(const Frame& frame);
  // Takes a response apart into the call; false on a violation.
  bool OnEnd(PendingCall* call, const Frame& frame);
  bool OnEndWithHead(PendingCall* call, const Frame& frame);
  void OnClosed(absl::Status why);
  std::unique_ptr<Inbox> NewInbox(ClientContext* context) {
    return std::make_unique<Inbox>(options_.max_receive_bytes, options_.receive_window, context, &bytes_);
  }
  static void Moved(PendingCall* call) {
    if (call->observer != nullptr) call->observer->OnMove();
  }
  void SendNotice(FrameKind kind, uint32_t buffer, uint16_t detail) override;
  // From here on nothing is said about buffers.
  void CloseBuffers() {
    lent_->Close();
    borrowed_.Close();
  }
  // Calls `deliver(call)` if the call is open; what it returns says whether this ends the call.
  template <class OnDeliver>
  void Deliver(uint32_t id, const OnDeliver& deliver) {
    PendingCall* const own = AwaitedCall();
    calls_.Deliver(id, own, deliver, [&](PendingCall* call) {
      if (call != own) return Notify(call);
      NEARCALL_STEP("client.served");
      caller_served_ = true;  // and awake: it is here
    });
  }
  // Wakes whoever waits for the call, which is over.
  void Notify(PendingCall* call);
  // The one that the calling thread waits for and does nothing else meanwhile but poll; nullptr if there is none.
  static PendingCall*& AwaitedCall() {
    static thread_local PendingCall* call = nullptr;
    return call;
  }

  const std::unique_ptr<W> wire_;
  Reactor* const reactor_;
  const SessionOptions options_;
  Sender<W> sender_;
  Quota bytes_;  // that inboxes and attachments hold: none outlives the session
  const std::shared_ptr<LentBuffers> lent_;
  BorrowedBuffers borrowed_;
  PingStrikes pings_;
  Calls calls_;
  internal::Mutex one_way_mu_;
  std::deque<std::unique_ptr<OneWayCall>> one_ways_ ABSL_GUARDED_BY(one_way_mu_);  // the oldest first
  // The poller's.
  bool closed_ = false;
  bool caller_served_ = false;  // the poller's own call is over
  // Which method numbers the server knows already, a bit each. A bit is set after the frame that announces it was sent.
  std::array<std::atomic<uint64_t>, (kMaxMethodNumber + 1) / 64> announced_{};
};

// --- Sending ---

template <Wire W>
SendResult ClientSession<W>::SendRequest(const internal::Method& method, ClientContext* context, PendingCall* call,
                                         uint32_t id, const SizedMessage* request, int64_t deadline,
                                         absl::Status* error) {
  const size_t payload = TimeoutSize(deadline) + (request != nullptr ? request->size : 0);
  const bool usual = request != nullptr && method.type() == internal::MethodType::kUnary &&
                     IsAnnounced(method.number()) && internal::ClientContextAccess::metadata(*context).empty() &&
                     internal::AttachmentsAccess::outgoing(*context) == nullptr &&
                     kHeaderSize + payload <= sender_.MaxFrame(payload);
  if (!usual) return SendUnusualRequest(method, context, call, id, request, deadline, error);
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kRequest);
  header.flags = frame_flags::kHasMessage | frame_flags::kEndStream;
  if (deadline != kNever) header.flags |= frame_flags::kHasTimeout;
  header.detail = static_cast<uint16_t>(method.number());
  header.call = id;
  header.size = static_cast<uint32_t>(kHeaderSize + payload);
  NEARCALL_STEP("client.request");
  const SendResult sent = sender_.Send(
      header, [&](uint8_t* to) { request->message.SerializeTo(FillTimeout(deadline, to)); }, deadline,
      [context] { return internal::ClientContextAccess::cancelled(*context); }, &call->position, context);
  NEARCALL_STEP("client.request.sent");
  return sent;
}

template <Wire W>
SendResult ClientSession<W>::SendUnusualRequest(const internal::Method& method, ClientContext* context,
                                                PendingCall* call, uint32_t id, const SizedMessage* request,
                                                int64_t deadline, absl::Status* error) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kRequest);
  header.call = id;
  if (method.type() != internal::MethodType::kUnary) header.flags |= frame_flags::kStream;

  // The method: by number if the server knows it, with its name otherwise.
  const uint32_t number = method.number();
  const bool numbered = number <= kMaxMethodNumber;
  const bool known = IsAnnounced(number);
  if (numbered) header.detail = static_cast<uint16_t>(number);
  const Metadata& metadata = internal::ClientContextAccess::metadata(*context);
  std::string head;
  if (!known || !metadata.empty()) {
    *error = CheckMetadata(metadata);
    if (!error->ok()) return SendResult::kAborted;
    absl::StatusOr<std::string> encoded = EncodeRequestHead(known ? "" : method.name(), metadata);
    if (!encoded.ok()) {
      *error = encoded.status();
      return SendResult::kAborted;
    }
    head = *std::move(encoded);
    header.extra = static_cast<uint32_t>(head.size());
  }

  if (deadline != kNever) header.flags |= frame_flags::kHasTimeout;
  size_t payload = TimeoutSize(deadline) + head.size();
  const bool inline_message =
      request != nullptr && kHeaderSize + payload + request->size <= sender_.MaxFrame(payload + request->size);
  if (inline_message) {
    header.flags |= frame_flags::kHasMessage | frame_flags::kEndStream;
    payload += request->size;
  }
  header.size = static_cast<uint32_t>(kHeaderSize + payload);

  const auto aborted = [&] { return internal::ClientContextAccess::cancelled(*context); };
  const auto fill = [&](uint8_t* to) {
    to = FillTimeout(deadline, to);
    if (!head.empty()) {
      std::memcpy(to, head.data(), head.size());
      to += head.size();
    }
    if (inline_message) request->message.SerializeTo(to);
  };
  SendResult result = SendResult::kSent;
  const internal::OutgoingAttachments* const attached = internal::AttachmentsAccess::outgoing(*context);
  if (attached != nullptr) {
    *error = CheckAttachments(*attached, wire_->passes_fds(), options_.peer->transport);
    if (!error->ok()) return SendResult::kAborted;
    result = SendAttached(*attached, context, id, deadline);
  }
  if (result == SendResult::kSent) {
    NEARCALL_STEP("client.request");
    result = sender_.Send(header, fill, deadline, aborted, &call->position, context);
    NEARCALL_STEP("client.request.sent");
  }
  if (result == SendResult::kSent && numbered && !known) {
    announced_[number / 64].fetch_or(uint64_t{1} << (number % 64), std::memory_order_relaxed);
  }
  if (result != SendResult::kSent && attached != nullptr) SendCancel(id);  // the server forgets what it has of them
  if (result != SendResult::kSent || request == nullptr || inline_message) return result;
  result = SendMessage(&sender_, id, frame_flags::kEndStream, *request, deadline, aborted, &call->position, context);
  // The server has seen the request: whatever stopped the message, the call ends by answer or by cancellation.
  return SendResult::kSent;
}

template <Wire W>
SendResult ClientSession<W>::SendAttached(const internal::OutgoingAttachments& attached, ClientContext* context,
                                          uint32_t id, int64_t deadline) {
  const auto aborted = [&] { return internal::ClientContextAccess::cancelled(*context); };
  return SendAttachments(attached, id, wire_->passes_fds(), std::min(sender_.MaxFrame(0), kMaxFrameSize), lent_.get(),
                         [&](const FrameHeader& header, const auto& fill, const internal::SharedFd& fd) {
                           return sender_.Send(header, fill, deadline, aborted, nullptr, context, /*hold=*/false, fd);
                         });
}

template <Wire W>
void ClientSession<W>::SendNotice(FrameKind kind, uint32_t buffer, uint16_t detail) {
  if (!sender_.SendNow(kind, 0, buffer, detail)) wire_->Shutdown();
  reactor_->LookAfterUnsent();
}

template <Wire W>
CallOutcome ClientSession<W>::NotSent(SendResult result, const ClientContext& context, absl::Status error) {
  if (!error.ok()) return {std::move(error), false};
  if (result != SendResult::kClosed) return {GaveUp(context), false};
  absl::Status status = DisconnectedStatus();
  SetDelivery(&status, /*maybe_seen=*/false);
  return {std::move(status), true};
}

template <Wire W>
absl::Status ClientSession<W>::GaveUp(const ClientContext& context) const {
  if (internal::ClientContextAccess::cancelled(context)) return absl::CancelledError("the caller cancelled the call");
  return absl::DeadlineExceededError(absl::StrCat("no answer from ", options_.peer->address, " before the deadline"));
}

template <Wire W>
absl::Status ClientSession<W>::DisconnectedStatus() const {
  return absl::UnavailableError(absl::StrCat("the connection to ", options_.peer->address, " is closed"));
}

template <Wire W>
void ClientSession<W>::SendCancel(uint32_t id) {
  if (!sender_.SendNow(FrameKind::kCancel, id)) wire_->Shutdown();
  reactor_->LookAfterUnsent();
  // A connection without calls that takes no more of them is of no use: a server that never closed it would otherwise
  // have us keep one for each of its GOAWAYs.
  if (!usable() && !calls_.AnyOpen()) wire_->Shutdown();
}

// --- Unary calls ---

template <Wire W>
CallOutcome ClientSession<W>::Unary(const internal::Method& method, ClientContext* context,
                                    internal::OutMessage request, internal::InMessage response, int64_t deadline) {
  // A call that is lost in a ring, unread, is made again by itself: that is not worth a look at the clock.
  if (!W::kTellsWhatWasRead && !StillUsable()) return NotSent(SendResult::kClosed, *context, absl::OkStatus());
  const SizedMessage out(request);
  absl::Status error = CheckSendSize(options_, out.size);
  if (!error.ok()) return {std::move(error), false};
  PendingCall call(context, response);
  const Calls::Ticket ticket = calls_.Claim(&call);
  if (ticket.id == 0) return {TooManyCalls(options_), false};
  const SendResult sent = SendRequest(method, context, &call, ticket.id, &out, deadline, &error);
  if (sent != SendResult::kSent) {
    Calls::Close(ticket);
    Calls::Free(ticket);
    return NotSent(sent, *context, std::move(error));
  }
  NEARCALL_STEP("client.wait");
  AwaitedCall() = &call;
  reactor_->Wait([&] { return Calls::IsDone(ticket) || internal::ClientContextAccess::cancelled(*context); },
                 &call.spot, deadline);
  AwaitedCall() = nullptr;
  return Conclude(ticket, &call);
}

template <Wire W>
std::unique_ptr<typename ClientSession<W>::OneWayCall> ClientSession<W>::TakeOneWay(ClientContext* context,
                                                                                    int64_t deadline) {
  // Half of the slots are left to calls that somebody waits for.
  const size_t most = std::max<size_t>(options_.max_calls / 2, 1);
  std::unique_ptr<OneWayCall> oldest;
  bool full = false;
  {
    internal::MutexLock lock(&one_way_mu_);
    if (!one_ways_.empty()) {
      full = one_ways_.size() >= most;
      if (full || Calls::IsDone(one_ways_.front()->ticket)) {
        oldest = std::move(one_ways_.front());
        one_ways_.pop_front();
      }
    }
  }
  if (oldest == nullptr) return std::make_unique<OneWayCall>();
  if (full) {
    NotifyOnCancel on_cancel(context, &oldest->call.spot);
    const auto done = [&] {
      return Calls::IsDone(oldest->ticket) || internal::ClientContextAccess::cancelled(*context);
    };
    reactor_->Wait(done, &oldest->call.spot, deadline);
    if (!Calls::IsDone(oldest->ticket)) {
      internal::MutexLock lock(&one_way_mu_);
      one_ways_.push_front(std::move(oldest));
      return nullptr;
    }
  }
  Calls::Close(oldest->ticket);
  Calls::Free(oldest->ticket);
  oldest->call.Reset();
  return oldest;
}

template <Wire W>
CallOutcome ClientSession<W>::OneWay(const internal::Method& method, ClientContext* context,
                                     internal::OutMessage request, int64_t deadline) {
  if (!StillUsable()) return NotSent(SendResult::kClosed, *context, absl::OkStatus());
  const SizedMessage out(request);
  absl::Status error = CheckSendSize(options_, out.size);
  if (!error.ok()) return {std::move(error), false};
  std::unique_ptr<OneWayCall> one_way = TakeOneWay(context, deadline);
  if (one_way == nullptr) return {GaveUp(*context), false};
  one_way->ticket = calls_.Claim(&one_way->call);
  if (one_way->ticket.id == 0) return {TooManyCalls(options_), false};
  const SendResult sent = SendRequest(method, context, &one_way->call, one_way->ticket.id, &out, deadline, &error);
  if (sent != SendResult::kSent) {
    Calls::Close(one_way->ticket);
    Calls::Free(one_way->ticket);
    return NotSent(sent, *context, std::move(error));
  }
  reactor_->LookAfterUnsent();
  internal::MutexLock lock(&one_way_mu_);
  one_ways_.push_back(std::move(one_way));
  return {};
}

template <Wire W>
CallOutcome ClientSession<W>::StartUnary(const internal::Method& method, PendingCall* call,
                                         internal::OutMessage request, int64_t deadline) {
  if (!StillUsable()) return NotSent(SendResult::kClosed, *call->context, absl::OkStatus());
  const SizedMessage out(request);
  absl::Status error = CheckSendSize(options_, out.size);
  if (!error.ok()) return {std::move(error), false};
  call->ticket = calls_.Claim(call);
  if (call->ticket.id == 0) return {TooManyCalls(options_), false};
  const SendResult sent = SendRequest(method, call->context, call, call->ticket.id, &out, deadline, &error);
  if (sent == SendResult::kSent) return {};
  if (Calls::Close(call->ticket)) return {};  // the connection ended: the observer was told, and EndUnary says why
  call->inbox.reset();
  Calls::Free(call->ticket);
  return NotSent(sent, *call->context, std::move(error));
}

template <Wire W>
CallOutcome ClientSession<W>::EndUnary(PendingCall* call) {
  return Conclude(call->ticket, call);
}

template <Wire W>
CallOutcome ClientSession<W>::Conclude(const typename Calls::Ticket& ticket, PendingCall* call) {
  NEARCALL_STEP("client.conclude");
  CallOutcome outcome;
  if (Calls::Close(ticket)) {
    outcome = {std::move(call->status), call->may_retry, call->lost};
  } else {
    SendCancel(ticket.id);
    outcome = {GaveUp(*call->context), false};
  }
  call->inbox.reset();
  call->attachments.reset();
  Calls::Free(ticket);
  NEARCALL_STEP("client.concluded");
  return outcome;
}

// --- Receiving ---

template <Wire W>
Polled ClientSession<W>::Poll() {
  bool progress = sender_.Service();
  for (int i = 0; i < kBatch; ++i) {
    Frame frame;
    switch (wire_->Receive(&frame)) {
      case Received::kNothing:
        return progress ? Polled::kProgress : Polled::kIdle;
      case Received::kClosed:
        OnClosed(wire_->status());
        return Polled::kFinished;
      case Received::kFrame:
        if (!OnFrame(frame)) {
          wire_->Shutdown();
          OnClosed(BrokeProtocol(options_));
          return Polled::kFinished;
        }
        wire_->Release();
        progress = true;
        if (!usable() && !calls_.AnyOpen()) {
          wire_->Shutdown();
          OnClosed(DisconnectedStatus());
          return Polled::kFinished;
        }
        if (W::kDearLook && std::exchange(caller_served_, false)) return Polled::kProgress;
    }
  }
  return Polled::kProgress;
}

template <Wire W>
bool ClientSession<W>::OnOtherFrame(const Frame& frame) {
  switch (frame.kind()) {
    case FrameKind::kMessage:
      return OnMessage(frame);
    case FrameKind::kHeaders:
      return OnHeaders(frame);
    case FrameKind::kAttachment:
      return OnAttachment(frame);
    case FrameKind::kRelease:
      return lent_->Release(frame.header.extra, frame.header.detail != 0);
    case FrameKind::kForget:
      return borrowed_.Forget(frame.header.extra);
    case FrameKind::kCredit: {
      bool sane = true;
      Deliver(frame.header.call, [&](PendingCall* call) {
        sane = call->credit.Grant(frame.header.extra);
        call->writer_spot.Notify();
        Moved(call);
        return false;
      });
      return sane;
    }
    case FrameKind::kGoAway:
      SetUnusable();
      return true;
    case FrameKind::kPing:
      return pings_.Answer(frame, &sender_);
    case FrameKind::kPong:
      return true;
    case FrameKind::kFdPassing:
      return AnswerFdPassing(frame, wire_.get(), &sender_);
    default:
      return false;
  }
}

template <Wire W>
bool ClientSession<W>::OnResponse(const Frame& frame) {
  bool sane = true;
  Deliver(frame.header.call, [&](PendingCall* call) {
    sane = OnEnd(call, frame) && (call->attachments == nullptr || TakeAttached(call));
    if (call->is_stream) call->has_initial_metadata.store(true, std::memory_order_seq_cst);  // or there is none
    return sane;
  });
  return sane;
}

template <Wire W>
bool ClientSession<W>::OnEnd(PendingCall* call, const Frame& frame) {
  NEARCALL_STEP("client.response");
  // The usual answer: OK, one message, nothing else.
  if (frame.header.detail != 0 || frame.header.extra != 0) return OnEndWithHead(call, frame);
  const bool has_message = frame.has(frame_flags::kHasMessage);
  if (call->inbox == nullptr && has_message) {
    if (options_.max_receive_bytes >= 0 && frame.payload_size() > static_cast<size_t>(options_.max_receive_bytes)) {
      call->status = TooLargeToReceive(options_, frame.payload_size());
    } else if (!ParsePayload(call->response, frame.payload, frame.payload_size(), wire_->trusted())) {
      call->status = UnreadableResponse();
    }
    return true;
  }
  return OnEndWithHead(call, frame);
}

template <Wire W>
bool ClientSession<W>::OnEndWithHead(PendingCall* call, const Frame& frame) {
  const int code = frame.header.detail;
  const size_t head_size = frame.header.extra;
  // Copied before it is looked at: the peer may still change it.
  const std::string head(reinterpret_cast<const char*>(frame.payload), head_size);
  if (!DecodeResponseHead(head.data(), head.size(), code, &call->status,
                          internal::ClientContextAccess::initial_metadata(call->context),
                          internal::ClientContextAccess::trailing_metadata(call->context))) {
    return false;
  }
  call->may_retry = frame.has(frame_flags::kNotSeen);
  if (call->may_retry) SetDelivery(&call->status, /*maybe_seen=*/false);
  const uint8_t* const message = frame.payload + head_size;
  const size_t size = frame.payload_size() - head_size;
  if (call->inbox != nullptr) {
    if (frame.has(frame_flags::kHasMessage)) {
      switch (call->inbox->PutMessage(message, size, wire_->trusted())) {
        case Inbox::Put::kOk:
          break;
        case Inbox::Put::kTooLarge:
          call->status = TooLargeToReceive(options_, size);
          break;
        case Inbox::Put::kTooMuch:
          call->status = TooMuchBuffered(options_, *call->inbox->lacking());
          break;
        case Inbox::Put::kViolation:
          return false;
      }
    }
    call->inbox->End();
    if (!call->is_stream && call->status.ok()) call->TakeAssembledResponse();
    return true;
  }
  if (code != 0) return true;
  if (!frame.has(frame_flags::kHasMessage)) {
    call->status = absl::InternalError("the server ended the call with OK but sent no response");
  } else if (options_.max_receive_bytes >= 0 && size > static_cast<size_t>(options_.max_receive_bytes)) {
    call->status = TooLargeToReceive(options_, size);
  } else if (!ParsePayload(call->response, message, size, wire_->trusted())) {
    call->status = UnreadableResponse();
  }
  return true;
}

template <Wire W>
bool ClientSession<W>::OnMessage(const Frame& frame) {
  bool sane = true;
  Deliver(frame.header.call, [&](PendingCall* call) {
    NEARCALL_STEP("client.message");
    if (call->inbox == nullptr) call->inbox = NewInbox(nullptr);
    switch (call->inbox->PutFrame(frame, wire_->trusted())) {
      case Inbox::Put::kOk:
        Moved(call);
        return false;
      case Inbox::Put::kTooLarge:
      case Inbox::Put::kTooMuch:
        SendCancel(frame.header.call);  // before the slot can have another user
        call->status = call->inbox->lacking() == nullptr
                           ? TooLargeToReceive(options_, frame.payload_size() + uint64_t{frame.header.extra})
                           : TooMuchBuffered(options_, *call->inbox->lacking());
        call->inbox->Close(/*drop=*/false);
        return true;
      case Inbox::Put::kViolation:
        sane = false;
        return false;
    }
    return false;
  });
  return sane;
}

template <Wire W>
bool ClientSession<W>::OnAttachment(const Frame& frame) {
  ReceivedAttachment attachment;
  if (!ReceiveAttachment(frame, wire_.get(), &borrowed_, &attachment)) return false;
  bool sane = true;
  Deliver(frame.header.call, [&](PendingCall* call) {
    if (call->attachments == nullptr) call->attachments = std::make_shared<ReceivedAttachments>(&bytes_, nullptr);
    sane = call->attachments->Add(std::move(attachment));
    return false;
  });
  return sane;
}

template <Wire W>
bool ClientSession<W>::TakeAttached(PendingCall* call) {
  std::shared_ptr<ReceivedAttachments> attachments = std::move(call->attachments);
  if (!attachments->complete()) return false;
  if (!attachments->status().ok()) {
    if (call->status.ok()) call->status = attachments->status();
    return true;
  }
  attachments->Settle();
  internal::AttachmentsAccess::set_incoming(call->context, std::move(attachments));
  return true;
}

template <Wire W>
bool ClientSession<W>::OnHeaders(const Frame& frame) {
  bool sane = true;
  Deliver(frame.header.call, [&](PendingCall* call) {
    if (call->has_initial_metadata.load(std::memory_order_relaxed)) {
      sane = false;
      return false;
    }
    const std::string head(reinterpret_cast<const char*>(frame.payload), frame.header.extra);
    absl::Status ignored;
    Metadata none;
    sane = DecodeResponseHead(head.data(), head.size(), 0, &ignored,
                              internal::ClientContextAccess::initial_metadata(call->context), &none);
    call->has_initial_metadata.store(true, std::memory_order_seq_cst);
    call->spot.Notify();
    Moved(call);
    return false;
  });
  return sane;
}

template <Wire W>
void ClientSession<W>::OnClosed(absl::Status why) {
  if (std::exchange(closed_, true)) return;
  SetUnusable();
  sender_.Close();  // from here on no request is sent: every call knows its position, or never gets one
  CloseBuffers();
  calls_.DeliverToAll(
      [&](PendingCall* call) {
        const bool maybe_seen = call->position != 0 && wire_->PeerHasRead(call->position);
        call->status = why;
        if (absl::IsUnavailable(why)) SetDelivery(&call->status, maybe_seen);
        call->may_retry = !maybe_seen;
        call->lost = true;
        if (call->inbox != nullptr) call->inbox->Close(/*drop=*/false);
        return true;
      },
      [this](PendingCall* call) { Notify(call); });
}

template <Wire W>
void ClientSession<W>::Notify(PendingCall* call) {
  NEARCALL_STEP("client.notify");
  call->spot.Notify();
  call->writer_spot.Notify();
  sender_.WakeWaiting();
  Moved(call);
}

}  // namespace nearcall

#include "runtime/engine/client_stream.h"  // IWYU pragma: export

#endif  // NEARCALL_RUNTIME_ENGINE_CLIENT_SESSION_H_
