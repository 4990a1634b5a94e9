// Many calls at once, many one after the other, and one that holds its writer back.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "protos/testing/interop/test.nearcall.h"
#include "tests/interop/cases.h"
#include "tests/interop/checks.h"
#include "tests/testing/resources.h"
#include "tests/testing/watchdog.h"

namespace nearcall::interop {
namespace {

using grpc::testing::TestService;

// All calls are started by the callback of an earlier one. Callbacks run one after another, on one thread of the
// channel's: so the last call has been started before the first one's callback can run, and all are under way at once.
class ConcurrentCalls {
 public:
  ConcurrentCalls(const std::shared_ptr<Channel>& channel, const CaseOptions& options)
      : stub_(TestService::NewStub(channel)),
        options_(options),
        request_(LargeRequest(options)),
        calls_(static_cast<size_t>(options.concurrent_calls)) {}

  absl::Status Run() {
    ClientContext context;
    const grpc::testing::Empty request;
    grpc::testing::Empty response;
    absl::Status first;
    stub_->async()->EmptyCall(&context, &request, &response, [&](absl::Status status) {
      first = std::move(status);
      if (first.ok()) StartAll();
      absl::MutexLock lock(&mu_);
      started_ = true;
    });
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &ConcurrentCalls::AllDone));
    INTEROP_RETURN_IF_ERROR(ExpectOk("EmptyCall", first));
    INTEROP_RETURN_IF_ERROR(failure_);
    return ExpectEqual("calls under way at once", options_.concurrent_calls, most_);
  }

 private:
  struct Call {
    ClientContext context;
    grpc::testing::SimpleResponse response;
  };

  void StartAll() {
    for (Call& call : calls_) {
      {
        absl::MutexLock lock(&mu_);
        most_ = std::max(most_, ++under_way_);
      }
      stub_->async()->UnaryCall(&call.context, &request_, &call.response,
                                [this, &call](const absl::Status& status) { Finish(&call, status); });
    }
  }

  void Finish(Call* call, const absl::Status& status) {
    absl::Status result = ExpectOk("UnaryCall", status);
    if (result.ok()) result = CheckLargeResponse(call->response, options_);
    call->response.Clear();
    absl::MutexLock lock(&mu_);
    if (failure_.ok()) failure_ = std::move(result);
    --under_way_;
  }

  bool AllDone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return started_ && under_way_ == 0; }

  const std::unique_ptr<TestService::Stub> stub_;
  const CaseOptions& options_;
  const grpc::testing::SimpleRequest request_;
  std::vector<Call> calls_;
  absl::Mutex mu_;
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  int under_way_ ABSL_GUARDED_BY(mu_) = 0;
  int most_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

absl::Status ConcurrentLargeUnary(const std::shared_ptr<Channel>& channel, const CaseOptions& options) {
  return ConcurrentCalls(channel, options).Run();
}

// The server answers each request of a stream, and nobody reads the answers: it stops reading, and then the client's
// writer stops, after what two windows hold. Other calls go on; and everything arrives once somebody reads.
absl::Status PushBack(const std::shared_ptr<Channel>& channel, const CaseOptions& options) {
  const int size = options.push_back_message_bytes;
  // Each direction holds a window, one message beyond it, and one in its reader's hands.
  const int most = 2 * (options.window_bytes / size + 2);
  const int total = 3 * most;
  const auto stub = TestService::NewStub(channel);
  ClientContext context;
  const auto stream = stub->FullDuplexCall(&context);
  const grpc::testing::StreamingOutputCallRequest request = StreamRequest(size, size);
  std::atomic<int> written{0};
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (written < total && stream->Write(request)) ++written;
    stream->WritesDone();
    done = true;
  });

  // The least that it can write, even if the server reads nothing.
  testing::Await([&] { return written >= options.least_window_bytes / (size + 100) || done; });
  absl::Status result;
  for (int i = 0; i < 100 && result.ok(); ++i) {
    ClientContext empty;
    grpc::testing::Empty response;
    result = ExpectOk("EmptyCall beside the stream",
                      stub->EmptyCall(&empty, grpc::testing::Empty::default_instance(), &response));
  }
  if (result.ok()) {
    ClientContext large;
    result = CallLargeUnary(channel, &large, options);
  }
  if (result.ok() && written > most) {
    result = absl::InternalError(absl::StrCat("expected the writer to stop after ", most, " messages of ", size,
                                              " bytes that nobody answers for, got ", written.load()));
  }

  grpc::testing::StreamingOutputCallResponse response;
  int read = 0;
  while (stream->Read(&response)) {
    ++read;
    if (result.ok()) result = ExpectZeros("a response", size, response.payload());
  }
  writer.join();
  const absl::Status status = stream->Finish();
  INTEROP_RETURN_IF_ERROR(result);
  INTEROP_RETURN_IF_ERROR(ExpectOk("FullDuplexCall", status));
  return ExpectEqual("responses", total, read);
}

absl::Status RpcSoak(const std::shared_ptr<Channel>& channel, const CaseOptions& options) {
  const auto stub = TestService::NewStub(channel);
  const grpc::testing::SimpleRequest request = LargeRequest(options);
  grpc::testing::SimpleResponse response;
  testing::Resources before;
  for (int i = 0; i < options.rpc_soak_calls; ++i) {
    ClientContext context;
    const absl::Status status = stub->UnaryCall(&context, request, &response);
    INTEROP_RETURN_IF_ERROR(ExpectOk(absl::StrCat("UnaryCall ", i), status));
    INTEROP_RETURN_IF_ERROR(CheckLargeResponse(response, options));
    // With the connection.
    if (i == 0) before = testing::Resources::Of(getpid());
  }
  testing::AwaitNoMoreThan(before, getpid(), options.soak_threads);
  return absl::OkStatus();
}

absl::Status ChannelSoak(const std::shared_ptr<Channel>& channel, const CaseOptions& options) {
  testing::Resources before;
  for (int i = 0; i < options.channel_soak_channels; ++i) {
    ClientContext context;
    const absl::Status status = CallLargeUnary(CreateChannel(channel->address(), options.channel), &context, options);
    INTEROP_RETURN_IF_ERROR(ExpectOk(absl::StrCat("channel ", i), status));
    // With the threads of a server in this process, which it starts when it is first called.
    if (i == 0) before = testing::Resources::Of(getpid());
  }
  testing::AwaitNoMoreThan(before, getpid(), options.soak_threads);
  return absl::OkStatus();
}

}  // namespace

std::vector<Case> LoadCases() {
  return {
      {"concurrent_large_unary", ConcurrentLargeUnary},
      {"push_back", PushBack},
      {"rpc_soak", RpcSoak},
      {"channel_soak", ChannelSoak},
  };
}

}  // namespace nearcall::interop
