// The service of features.proto, known to test servers.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "nearcall/nearcall.h"
#include "protos/testing/features.nearcall.h"
#include "protos/testing/features.pb.h"
#include "tests/testing/services.h"

namespace nearcall::testing {
namespace {

using google::protobuf::Empty;

class FeaturesImpl final : public Features::Service {
 public:
  absl::Status TakeNote(ServerContext*, const Note* request, Empty*) override {
    absl::MutexLock lock(&mu_);
    ++notes_.entered;
    if (request->wait()) mu_.Await(absl::Condition(&released_));
    ++notes_.taken;
    return absl::DataLossError("nobody hears this");
  }
  absl::Status GetNotes(ServerContext*, const Empty*, Notes* response) override {
    absl::MutexLock lock(&mu_);
    response->set_taken(notes_.taken);
    response->set_entered(notes_.entered);
    response->set_cancelled(notes_.cancelled);
    return absl::OkStatus();
  }
  absl::Status Release(ServerContext*, const Empty*, Empty*) override {
    absl::MutexLock lock(&mu_);
    released_ = true;
    return absl::OkStatus();
  }
  absl::Status WaitForCancel(ServerContext* context, const Empty*, Empty*) override { return Wait(context); }
  absl::Status WaitForTimeout(ServerContext* context, const Empty*, Empty*) override { return Wait(context); }
  absl::Status CancelYourself(ServerContext* context, const Empty*, Empty*) override {
    context->TryCancel();
    return Wait(context);
  }
  absl::Status Die(ServerContext*, const DieRequest* request, Empty*) override { return DieOnce(*request); }
  absl::Status DieRepeatably(ServerContext*, const DieRequest* request, Empty*) override { return DieOnce(*request); }

 private:
  struct Counts {
    int64_t taken = 0;
    int64_t entered = 0;
    int64_t cancelled = 0;
  };

  absl::Status Wait(ServerContext* context) {
    {
      absl::MutexLock lock(&mu_);
      ++notes_.entered;
    }
    absl::Notification cancelled;
    context->SetOnCancel([&cancelled] { cancelled.Notify(); });
    cancelled.WaitForNotification();
    const bool sure = context->IsCancelled();
    absl::MutexLock lock(&mu_);
    ++notes_.cancelled;
    return sure ? absl::OkStatus() : absl::InternalError("told of a cancellation that has not happened");
  }

  static absl::Status DieOnce(const DieRequest& request) {
    if (const int fd = open(request.path().c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600); fd >= 0) {
      close(fd);
      kill(getpid(), SIGKILL);
    }
    return absl::OkStatus();
  }

  absl::Mutex mu_;
  bool released_ ABSL_GUARDED_BY(mu_) = false;
  Counts notes_ ABSL_GUARDED_BY(mu_);
};

const ServiceRegistration registration(
    [](Form) -> std::unique_ptr<Service> { return std::make_unique<FeaturesImpl>(); });

}  // namespace
}  // namespace nearcall::testing
