#include "nearcall/client_reactor.h"

#include <cstdint>
#include <utility>

namespace nearcall {
namespace internal {
namespace {

// The driver that the calling thread is in the middle of: its call need not be woken.
thread_local const ClientReactorDriver* driving = nullptr;

}  // namespace

void ClientReactorDriver::Bind(std::shared_ptr<Channel> channel, const Method* method, ClientContext* context,
                               absl::optional<OutMessage> request, absl::optional<InMessage> response,
                               std::shared_ptr<const void> method_owner) {
  channel_ = std::move(channel);
  method_ = method;
  method_owner_ = std::move(method_owner);
  context_ = context;
  MutexLock lock(&mu_);
  if (request.has_value()) {
    pending_.write = pending_.write_is_silent = true;
    pending_.to_write = *request;
    pending_.write_options.last_message = true;
  }
  if (response.has_value()) {
    wants_response_ = true;
    pending_.read = pending_.read_is_silent = true;
    pending_.read_to = *response;
  }
}

ClientReactorDriver::Callers ClientReactorDriver::Separate(ClientContext* context, std::string* request,
                                                           std::string* response) {
  Callers callers;
  callers.context = std::exchange(context_, context);
  MutexLock lock(&mu_);
  if (pending_.write_is_silent) {
    request->resize(pending_.to_write.ByteSize());
    pending_.to_write.SerializeTo(reinterpret_cast<uint8_t*>(&(*request)[0]));
    pending_.to_write = OutMessage(*request);
  }
  if (pending_.read_is_silent) callers.response = std::exchange(pending_.read_to, InMessage(response));
  return callers;
}

void ClientReactorDriver::StartCall() {
  const std::shared_ptr<Channel> channel = std::move(channel_);  // the call keeps it from here on
  // Under the lock, so that Drive, on another thread, cannot end the call before its waker is known.
  MutexLock lock(&mu_);
  waker_ = channel->StartCallAsync(*method_, context_, shared_from_this());
}

// --- The operations ---

void ClientReactorDriver::WakeCall() {
  if (waker_ != nullptr && driving != this) waker_->Wake();
}

void ClientReactorDriver::StartRead(InMessage message) {
  MutexLock lock(&mu_);
  pending_.read = true;
  pending_.read_to = message;
  WakeCall();
}

void ClientReactorDriver::StartWrite(OutMessage message, WriteOptions options) {
  MutexLock lock(&mu_);
  pending_.write = true;
  pending_.to_write = message;
  pending_.write_options = options;
  WakeCall();
}

void ClientReactorDriver::StartWritesDone() {
  MutexLock lock(&mu_);
  pending_.writes_done = true;
  WakeCall();
}

void ClientReactorDriver::AddHolds(int holds) {
  MutexLock lock(&mu_);
  pending_.holds += holds;
}

void ClientReactorDriver::RemoveHold() {
  MutexLock lock(&mu_);
  if (--pending_.holds == 0) WakeCall();
}

// --- The call ---

ClientReactorDriver::Pending ClientReactorDriver::Snapshot() {
  MutexLock lock(&mu_);
  return pending_;
}

bool ClientReactorDriver::Drive(ClientCall* call, absl::Status* status) {
  const ClientReactorDriver* const outer = std::exchange(driving, this);
  while (Advance(call)) {
  }
  const bool over = !Snapshot().any() && call->TryFinish(status) == Tried::kDone;
  if (over) {
    {
      MutexLock lock(&mu_);
      waker_ = nullptr;
    }
    // What was started in the last moment, by somebody who did not hold the call, fails with it.
    while (Advance(call)) {
    }
    if (wants_response_ && status->ok() && !answered_) {
      *status = absl::InternalError("the server ended the call with OK but sent no response");
    }
  }
  driving = outer;
  return over;
}

void ClientReactorDriver::MetadataIsThere(bool ok) {
  {
    MutexLock lock(&mu_);
    if (!std::exchange(pending_.metadata, false)) return;
  }
  reactor_->OnReadInitialMetadataDone(ok);
}

bool ClientReactorDriver::Advance(ClientCall* call) {
  const Pending todo = Snapshot();
  bool advanced = false;
  if (todo.write) {
    const Tried tried = call->TryWrite(todo.to_write, todo.write_options);
    if (tried != Tried::kNotYet) {
      {
        MutexLock lock(&mu_);
        pending_.write = pending_.write_is_silent = false;
      }
      if (!todo.write_is_silent) reactor_->OnWriteDone(tried == Tried::kDone);
      advanced = true;
    }
  } else if (todo.writes_done) {
    const Tried tried = call->TryWritesDone();
    if (tried != Tried::kNotYet) {
      {
        MutexLock lock(&mu_);
        pending_.writes_done = false;
      }
      reactor_->OnWritesDoneDone(tried == Tried::kDone);
      advanced = true;
    }
  }
  if (todo.metadata && call->TryWaitForInitialMetadata() == Tried::kDone) {
    MetadataIsThere(true);
    advanced = true;
  }
  if (todo.read) {
    const Tried tried = call->TryRead(todo.read_to);
    if (tried != Tried::kNotYet) {
      const bool ok = tried == Tried::kDone;
      {
        MutexLock lock(&mu_);
        pending_.read = pending_.read_is_silent = false;
      }
      // A message without metadata before it: there is none.
      MetadataIsThere(ok);
      if (todo.read_is_silent) {
        answered_ = ok;
      } else {
        reactor_->OnReadDone(ok);
      }
      advanced = true;
    }
  }
  if (todo.metadata && !todo.read && call->TryWaitForInitialMetadata() == Tried::kOver) {
    MetadataIsThere(false);
    advanced = true;
  }
  return advanced;
}

void ClientReactorDriver::OnDone(const absl::Status& status) { reactor_->OnDone(status); }

}  // namespace internal
}  // namespace nearcall
