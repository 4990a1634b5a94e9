#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

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
