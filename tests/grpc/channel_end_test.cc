// Who lets go of a channel of gRPC's: no thread of gRPC's own. What goes last there waits for those threads, and gRPC
// 1.51 does not survive a thread that waits for itself.

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/client_interceptor.h"
#include "gtest/gtest.h"
#include "nearcall/generic.h"
#include "nearcall/grpc_adapter.h"
#include "tests/grpc/servers.h"
#include "tests/testing/watchdog.h"

namespace {

namespace experimental = grpc::experimental;

// Which threads are gRPC's, as far as they have brought answers.
class GrpcThreads {
 public:
  void AddThisOne() {
    absl::MutexLock lock(&mu_);
    threads_.insert(std::this_thread::get_id());
  }
  bool HasThisOne() const {
    absl::MutexLock lock(&mu_);
    return threads_.count(std::this_thread::get_id()) != 0;
  }

 private:
  mutable absl::Mutex mu_;
  std::set<std::thread::id> threads_ ABSL_GUARDED_BY(mu_);
};

// What the channels under test tell.
struct Ends {
  GrpcThreads grpcs;
  std::atomic<int> all{0}, on_grpcs{0};
};

class NoteThread final : public experimental::Interceptor {
 public:
  explicit NoteThread(GrpcThreads* grpcs) : grpcs_(grpcs) {}
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::POST_RECV_STATUS)) {
      grpcs_->AddThisOne();
    }
    methods->Proceed();
  }

 private:
  GrpcThreads* const grpcs_;
};

// Lives as long as its channel.
class Witness final : public experimental::ClientInterceptorFactoryInterface {
 public:
  explicit Witness(Ends* ends) : ends_(ends) {}
  ~Witness() override {
    if (ends_->grpcs.HasThisOne()) ++ends_->on_grpcs;
    ++ends_->all;
  }
  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override {
    return new NoteThread(&ends_->grpcs);
  }

 private:
  Ends* const ends_;
};

std::shared_ptr<nearcall::Channel> WitnessedChannel(const std::string& target, Ends* ends) {
  std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>> witness;
  witness.push_back(std::make_unique<Witness>(ends));
  return nearcall::ChannelOver(experimental::CreateCustomChannelWithInterceptors(
      target, grpc::InsecureChannelCredentials(), grpc::ChannelArguments(), std::move(witness)));
}

// A conversation that has begun once it is made.
class Talk final : public nearcall::ClientGenericBidiReactor {
 public:
  explicit Talk(const std::shared_ptr<nearcall::Channel>& channel) {
    nearcall::GenericStub(channel).PrepareCall(&context_, "/helloworld.Greeter/Chat", this);
    AddHold();
    StartRead(&message_);
    StartWrite(&nothing_);
    StartCall();
    answered_.WaitForNotification();
  }
  absl::StatusCode Cancel() {
    context_.TryCancel();
    RemoveHold();
    return Wait();
  }
  absl::StatusCode Finish() {
    StartWritesDone();
    StartRead(&message_);
    RemoveHold();
    return Wait();
  }

 private:
  void OnReadDone(bool ok) override {
    if (ok) answered_.Notify();
  }
  void OnDone(const absl::Status& status) override {
    status_ = status;
    over_.Notify();
  }
  absl::StatusCode Wait() {
    over_.WaitForNotification();
    return status_.code();
  }

  nearcall::ClientContext context_;
  const std::string nothing_;
  std::string message_;
  absl::Status status_;
  absl::Notification answered_, over_;
};

// A call that was cancelled is over before gRPC has done with it.
TEST(GrpcChannelEndTest, IsNotOnAThreadOfGrpcs) {
  constexpr int kRounds = 100;
  NearcallServer server("grpc:127.0.0.1:0");
  Ends ends;
  for (int round = 0; round < kRounds; ++round) {
    std::shared_ptr<nearcall::Channel> channel = WitnessedChannel(server.target(), &ends);
    Talk talk(channel);
    channel = nullptr;
    if (round % 4 == 0) {
      EXPECT_EQ(talk.Finish(), absl::StatusCode::kOk);
    } else {
      EXPECT_EQ(talk.Cancel(), absl::StatusCode::kCancelled);
    }
  }
  nearcall::testing::Await([&] { return ends.all == kRounds; });
  EXPECT_EQ(ends.on_grpcs, 0);
}

}  // namespace
