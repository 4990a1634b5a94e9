#include <memory>

#include "absl/status/statusor.h"
#include "nearcall/server.h"
#include "tests/codegen/coexistence.h"
#include "tests/codegen/testdata/greeter.nearcall.h"

GreeterTypes NearcallGreeter() {
  helloworld::Greeter::Service service;
  const auto stub = helloworld::Greeter::NewStub(nullptr);
  const helloworld::HelloRequest request;
  helloworld::HelloReply reply;
  const absl::Status status = service.SayHello(nullptr, &request, &reply);
  const auto& stub_object = *stub;
  return {&typeid(service), &typeid(stub_object), "nearcall: " + std::string(status.message())};
}

namespace {

class GreeterImpl final : public helloworld::Greeter::Service {
  absl::Status SayHello(nearcall::ServerContext* /*context*/, const helloworld::HelloRequest* request,
                        helloworld::HelloReply* reply) override {
    reply->set_message("nearcall greets " + request->name());
    return absl::OkStatus();
  }
};

}  // namespace

std::string GreetOverNearcall(const std::string& name) {
  GreeterImpl greeter;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("tcp:127.0.0.1:0");
  builder.RegisterService(&greeter);
  const absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) return server.status().ToString();
  const auto stub = helloworld::Greeter::NewStub(nearcall::CreateChannel((*server)->addresses()[0]));
  helloworld::HelloRequest request;
  request.set_name(name);
  const absl::StatusOr<helloworld::HelloReply> reply = stub->SayHello(request);
  return reply.ok() ? reply->message() : reply.status().ToString();
}
