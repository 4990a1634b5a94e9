#ifndef NEARCALL_RUNTIME_ENGINE_FAILED_CALL_H_
#define NEARCALL_RUNTIME_ENGINE_FAILED_CALL_H_

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

 private:
  const absl::Status why_;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_FAILED_CALL_H_
