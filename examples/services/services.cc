// What a server can say of itself, and who may look on at its calls: health, reflection, metrics, interceptors.
//
// Server and client are in one process, to have them side by side; over another address nothing would differ.

#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "examples/hello/greeter.h"
#include "examples/hello/hello.nearcall.h"
#include "grpc/health/v1/health.nearcall.h"
#include "nearcall/admin.nearcall.h"
#include "nearcall/nearcall.h"

namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using helloworld::Greeter;
using helloworld::HelloReply;
using helloworld::HelloRequest;
using nearcall::CallListener;
using nearcall::CallTotals;
using nearcall::MethodInfo;

// Lets nobody greet without a password.
class Guard final : public nearcall::ServerInterceptor {
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo& method,
                                                       nearcall::ServerContext* context) override {
    if (method.name != "/helloworld.Greeter/SayHello") return nullptr;
    if (context->client_metadata().Get("password") == "please") return nullptr;
    return absl::UnauthenticatedError("say please");
  }
};

// Brings the password, and says what became of each call.
class PoliteClient final : public nearcall::ClientInterceptor {
  class Report final : public CallListener {
   public:
    explicit Report(absl::string_view method) : method_(method) {}
    void OnEnd(const absl::Status& status, const CallTotals& totals) override {
      std::cout << method_ << ": " << absl::StatusCodeToString(status.code()) << ", " << totals.bytes_sent
                << " bytes out, " << totals.bytes_received << " bytes in" << std::endl;
    }

   private:
    const std::string method_;
  };

  std::unique_ptr<CallListener> OnCall(const MethodInfo& method, nearcall::ClientContext* context) override {
    context->AddMetadata("password", "please");
    return std::make_unique<Report>(method.name);
  }
};

bool CallTheGreeter(const std::string& address) {
  HelloRequest request;
  request.set_name("world");
  const absl::Status refused = Greeter::NewStub(nearcall::CreateChannel(address))->SayHello(request).status();
  std::cout << refused << std::endl;

  nearcall::ChannelOptions options;
  options.interceptors.push_back(std::make_shared<PoliteClient>());
  const absl::StatusOr<HelloReply> reply =
      Greeter::NewStub(nearcall::CreateChannel(address, options))->SayHello(request);
  return absl::IsUnauthenticated(refused) && reply.ok();
}

bool AskForHealth(const std::string& address, nearcall::HealthCheckService* health) {
  std::unique_ptr<Health::Stub> stub = Health::NewStub(nearcall::CreateChannel(address));
  HealthCheckRequest request;
  request.set_service("helloworld.Greeter");
  nearcall::ClientContext context;
  std::unique_ptr<nearcall::ClientReader<HealthCheckResponse>> watch = stub->Watch(&context, request);
  HealthCheckResponse before, after;
  if (!watch->Read(&before)) return false;
  health->SetServingStatus("helloworld.Greeter", false);
  if (!watch->Read(&after)) return false;
  std::cout << request.service() << ": " << HealthCheckResponse::ServingStatus_Name(before.status()) << ", then "
            << HealthCheckResponse::ServingStatus_Name(after.status()) << std::endl;
  return after.status() == HealthCheckResponse::NOT_SERVING;
}

bool AskForMetrics(const std::string& address) {
  auto stub = nearcall::admin::Metrics::NewStub(nearcall::CreateChannel(address));
  nearcall::admin::GetMetricsRequest request;
  request.set_method_prefix("/helloworld.");
  const absl::StatusOr<nearcall::admin::GetMetricsResponse> response = stub->GetMetrics(request);
  if (!response.ok() || response->methods_size() != 1) return false;
  const nearcall::admin::MethodMetrics& hello = response->methods(0);
  std::cout << hello.method() << ": " << hello.started() << " calls, " << hello.finished().at(0) << " of them OK"
            << std::endl;
  return hello.started() == 2;
}

}  // namespace

int main() {
  GreeterImpl greeter;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:services");
  builder.RegisterService(&greeter);
  builder.EnableHealthCheckService();
  builder.EnableReflection();
  builder.EnableMetrics();
  builder.AddInterceptor(std::make_shared<Guard>());
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  const std::string address = (*server)->addresses().front();
  const bool greeted = CallTheGreeter(address);
  const bool watched = AskForHealth(address, (*server)->GetHealthCheckService());
  const bool counted = AskForMetrics(address);
  return greeted && watched && counted ? 0 : 1;
}
