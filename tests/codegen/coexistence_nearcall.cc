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
