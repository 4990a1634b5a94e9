#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>

#include "tests/codegen/coexistence.h"
#include "tests/codegen/testdata/greeter.grpc.pb.h"

GreeterTypes GrpcGreeter() {
  helloworld::Greeter::Service service;
  const auto stub =
      helloworld::Greeter::NewStub(grpc::CreateChannel("unix:/nobody/listens", grpc::InsecureChannelCredentials()));
  const helloworld::HelloRequest request;
  helloworld::HelloReply reply;
  const grpc::Status status = service.SayHello(nullptr, &request, &reply);
  const auto& stub_object = *stub;
  return {&typeid(service), &typeid(stub_object), "grpc: " + status.error_message()};
}

namespace {

class GreeterImpl final : public helloworld::Greeter::Service {
  grpc::Status SayHello(grpc::ServerContext* /*context*/, const helloworld::HelloRequest* request,
                        helloworld::HelloReply* reply) override {
    reply->set_message("gRPC greets " + request->name());
    return grpc::Status::OK;
  }
};

}  // namespace

std::string GreetOverGrpc(const std::string& name) {
  GreeterImpl greeter;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&greeter);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = helloworld::Greeter::NewStub(
      grpc::CreateChannel("127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials()));
  helloworld::HelloRequest request;
  request.set_name(name);
  helloworld::HelloReply reply;
  grpc::ClientContext context;
  const grpc::Status status = stub->SayHello(&context, request, &reply);
  return status.ok() ? reply.message() : status.error_message();
}
