#include "runtime/engine/failed_call.h"

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace nearcall {
namespace {

class FailedStream final : public internal::CallWaker {
 public:
  FailedStream(std::shared_ptr<internal::ClientDriver> driver, absl::Status why)
      : driver_(std::move(driver)), call_(std::move(why)) {}

  void Run() {
    absl::Status status;
    while (!driver_->Drive(&call_, &status)) {
      absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(&moved_));
      moved_ = false;
    }
    driver_->OnDone(status);
  }

  void Wake() override {
    absl::MutexLock lock(&mu_);
    moved_ = true;
  }

 private:
  const std::shared_ptr<internal::ClientDriver> driver_;
  FailedCall call_;
  absl::Mutex mu_;
  bool moved_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

internal::CallWaker* DriveFailedCall(std::shared_ptr<internal::ClientDriver> driver, absl::Status why) {
  auto stream = std::make_unique<FailedStream>(std::move(driver), std::move(why));
  FailedStream* const waker = stream.get();
  std::thread([stream = std::move(stream)] { stream->Run(); }).detach();
  return waker;
}

}  // namespace nearcall
