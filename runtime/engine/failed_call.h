#ifndef NEARCALL_RUNTIME_ENGINE_FAILED_CALL_H_
#define NEARCALL_RUNTIME_ENGINE_FAILED_CALL_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/internal/client_call.h"

namespace nearcall {

// A streaming call that could not begin: Finish says why.
class FailedCall final : public internal::ClientCall {
 public:
  explicit FailedCall(absl::Status why) : why_(std::move(why)) {}

  bool Write(internal::OutMessage, WriteOptions) override { return false; }
  bool WritesDone() override { return false; }
  bool Read(internal::InMessage) override { return false; }
  void WaitForInitialMetadata() override {}
  absl::Status Finish() override { return why_; }
  internal::Tried TryWrite(internal::OutMessage, WriteOptions) override { return internal::Tried::kOver; }
  internal::Tried TryWritesDone() override { return internal::Tried::kOver; }
  internal::Tried TryRead(internal::InMessage) override { return internal::Tried::kOver; }
  internal::Tried TryWaitForInitialMetadata() override { return internal::Tried::kOver; }
  internal::Tried TryFinish(absl::Status* status) override {
    *status = why_;
    return internal::Tried::kDone;
  }

 private:
  const absl::Status why_;
};

// The same for a call that is driven: on a thread of its own. For where there is no channel's thread.
internal::CallWaker* DriveFailedCall(std::shared_ptr<internal::ClientDriver> driver, absl::Status why);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_FAILED_CALL_H_
