// What metrics cost a small unary call, as a ratio to the same call without them, measured in turns in one run:
//
//   ./bazelw run //benchmarks/metrics:metrics_cost
//
// Server and client are threads of one process. `--transport=inproc` and the others tell how much is left of it where
// the call itself costs more. Wants two CPUs with nothing else to do.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"

ABSL_FLAG(std::string, transport, "shm", "shm, unix or inproc");
ABSL_FLAG(int, rounds, 1000, "how often each kind of call has its turn");
ABSL_FLAG(int, calls, 200, "calls in a turn");
ABSL_FLAG(int, bytes, 64, "of data in each message");

namespace nearcall {
namespace {

using testing::Payload;
using testing::TestService;

class EchoService final : public TestService::Service {
  absl::Status Echo(ServerContext*, const Payload* request, Payload* response) override {
    *response = *request;
    return absl::OkStatus();
  }
};

// Looks on at every call and does nothing: what it costs to be asked.
class IdleListener final : public CallListener {
  void OnEnd(const absl::Status&, const CallTotals&) override {}
};
class IdleInterceptor final : public ClientInterceptor, public ServerInterceptor {
  std::unique_ptr<CallListener> OnCall(const MethodInfo&, ClientContext*) override {
    return std::make_unique<IdleListener>();
  }
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo&, ServerContext*) override {
    return std::make_unique<IdleListener>();
  }
};

// A server and a caller of one kind, and how long the calls of its turns took.
class Contender {
 public:
  Contender(std::string name, std::shared_ptr<ServerInterceptor> server, std::shared_ptr<ClientInterceptor> client)
      : name_(std::move(name)) {
    const std::string address = absl::StrCat(absl::GetFlag(FLAGS_transport), ":nearcall-bench-", getpid(), "-", name_);
    ServerBuilder builder;
    builder.AddListeningPort(address);
    builder.RegisterService(&service_);
    if (server != nullptr) builder.AddInterceptor(std::move(server));
    absl::StatusOr<std::unique_ptr<Server>> started = builder.BuildAndStart();
    if (!started.ok()) {
      fprintf(stderr, "%s\n", started.status().ToString().c_str());
      exit(1);
    }
    server_ = *std::move(started);
    ChannelOptions options;
    if (client != nullptr) options.interceptors.push_back(std::move(client));
    stub_ = TestService::NewStub(CreateChannel(address, options));
    request_.set_data(std::string(static_cast<size_t>(absl::GetFlag(FLAGS_bytes)), 'x'));
  }

  void TakeTurn() {
    const int calls = absl::GetFlag(FLAGS_calls);
    const absl::Time began = absl::Now();
    for (int i = 0; i < calls; ++i) {
      ClientContext context;
      if (!stub_->Echo(&context, request_, &response_).ok()) exit(1);
    }
    nanos_.push_back(absl::ToDoubleNanoseconds(absl::Now() - began) / calls);
  }
  const std::string& name() const { return name_; }
  // Of the turns, the one at `fraction` from the best.
  double NanosPerCall(double fraction) {
    std::sort(nanos_.begin(), nanos_.end());
    return nanos_[static_cast<size_t>(fraction * static_cast<double>(nanos_.size() - 1))];
  }

 private:
  const std::string name_;
  EchoService service_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<TestService::Stub> stub_;
  Payload request_;
  Payload response_;
  std::vector<double> nanos_;
};

void Run() {
  const auto idle = std::make_shared<IdleInterceptor>();
  const Metrics metrics;
  std::vector<std::unique_ptr<Contender>> contenders;
  contenders.push_back(std::make_unique<Contender>("none", nullptr, nullptr));
  contenders.push_back(std::make_unique<Contender>("idle-server", idle, nullptr));
  contenders.push_back(std::make_unique<Contender>("idle-both", idle, idle));
  contenders.push_back(std::make_unique<Contender>("metrics-server", metrics.server_interceptor(), nullptr));
  contenders.push_back(
      std::make_unique<Contender>("metrics-both", metrics.server_interceptor(), metrics.client_interceptor()));
  for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
    for (const auto& one : contenders) one->TakeTurn();
  }
  // A turn that nothing disturbed is among the best tenth, even where the machine has other work.
  printf("%-16s %14s %8s %14s %8s\n", "interceptors", "p10 ns/call", "ratio", "median ns/call", "ratio");
  for (const auto& one : contenders) {
    printf("%-16s", one->name().c_str());
    for (const double fraction : {0.1, 0.5}) {
      const double none = contenders.front()->NanosPerCall(fraction);
      printf(" %14.0f %8.3f", one->NanosPerCall(fraction), one->NanosPerCall(fraction) / none);
    }
    printf("\n");
  }
}

}  // namespace
}  // namespace nearcall

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  nearcall::Run();
}
