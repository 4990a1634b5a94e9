#include "nearcall/internal/co_client_stream.h"

#include <cassert>
#include <utility>

#include "nearcall/internal/context_access.h"

namespace nearcall {
namespace internal {

void CoClientStream::Begin() {
  self_ = shared_from_this();
  {
    MutexLock lock(&mu_);
    assert(stage_ == Stage::kBound);
    callers_ = driver()->Separate(&context_, &request_, &response_);
    ClientContextAccess::CopySettings(callers_.context, &context_);
    ClientContextAccess::AddSleeper(callers_.context, this);
    if (ClientContextAccess::cancelled(*callers_.context)) context_.TryCancel();
    stage_ = Stage::kOpen;
  }
  AddHold();  // until Finish or Drop
  StartCall();
}

// --- The operations ---

bool CoClientStream::Enter(CoWaiter** slot, CoWaiter* waiter) {
  MutexLock lock(&mu_);
  if (stage_ != Stage::kOpen) {
    waiter->ok = false;
    return false;
  }
  assert(*slot == nullptr);
  *slot = waiter;
  return true;
}

bool CoClientStream::Read(InMessage message, CoWaiter* waiter) {
  if (!Enter(&reading_, waiter)) return false;
  driver()->StartRead(message);
  return true;
}

bool CoClientStream::Write(OutMessage message, WriteOptions options, CoWaiter* waiter) {
  if (!Enter(&writing_, waiter)) return false;
  driver()->StartWrite(message, options);
  return true;
}

bool CoClientStream::WritesDone(CoWaiter* waiter) {
  if (!Enter(&writing_, waiter)) return false;
  driver()->StartWritesDone();
  return true;
}

bool CoClientStream::Finish(CoWaiter* waiter) {
  bool drain = false;
  {
    MutexLock lock(&mu_);
    if (stage_ == Stage::kBound) status_ = absl::FailedPreconditionError("the call was not started");
    assert(stage_ != Stage::kFinishing);
    if (stage_ != Stage::kOpen) return false;
    stage_ = Stage::kFinishing;
    finishing_ = waiter;
    drain = reads_ && !read_to_end_ && reading_ == nullptr;
  }
  // Without the hold the call, and this with it, may be gone at any time.
  const std::shared_ptr<ClientReactorDriver> held = driver();
  if (drain) held->StartRead(InMessage(&response_));
  held->RemoveHold();
  return true;
}

void CoClientStream::Drop() {
  bool held = false;
  {
    MutexLock lock(&mu_);
    if (stage_ == Stage::kBound || stage_ == Stage::kOver) return;
    held = stage_ == Stage::kOpen;
    stage_ = Stage::kDropped;
    LeaveCaller();
  }
  context_.TryCancel();
  if (held) RemoveHold();
}

void CoClientStream::LeaveCaller() {
  if (callers_.context == nullptr) return;
  ClientContextAccess::RemoveSleeper(callers_.context, this);
  callers_ = {};
}

// --- The reactions ---

void CoClientStream::OnReadInitialMetadataDone(bool /*ok*/) {
  MutexLock lock(&mu_);
  if (callers_.context != nullptr) ClientContextAccess::CopyBeginning(context_, callers_.context);
}

void CoClientStream::Answer(CoWaiter** slot, bool ok) {
  CoWaiter* waiter = nullptr;
  {
    MutexLock lock(&mu_);
    waiter = std::exchange(*slot, nullptr);
  }
  if (waiter != nullptr) waiter->Resume(ok);
}

void CoClientStream::OnReadDone(bool ok) {
  bool drain = false;
  {
    MutexLock lock(&mu_);
    read_to_end_ = !ok;
    drain = ok && stage_ == Stage::kFinishing;
  }
  if (drain) driver()->StartRead(InMessage(&response_));
  Answer(&reading_, ok);
}

void CoClientStream::OnWriteDone(bool ok) { Answer(&writing_, ok); }

void CoClientStream::OnWritesDoneDone(bool ok) { Answer(&writing_, ok); }

void CoClientStream::OnDone(const absl::Status& status) {
  const std::shared_ptr<CoClientStream> self = std::move(self_);
  {
    MutexLock lock(&mu_);
    status_ = status;
    if (status.ok() && callers_.response.has_value() &&
        !callers_.response->Parse(response_.data(), response_.size())) {
      status_ = absl::InternalError("the server's response is not a message of the method's type");
    }
    if (callers_.context != nullptr) ClientContextAccess::CopyEnd(context_, callers_.context);
    LeaveCaller();
    stage_ = Stage::kOver;
  }
  Answer(&finishing_, true);
}

}  // namespace internal
}  // namespace nearcall
