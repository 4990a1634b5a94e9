// The program of grpc_client.cc over nearcall. One line of set-up has changed, and the header for it:
//   grpc_client_over_nearcall shm:hello you

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "examples/hello/hello_grpc.nearcall.h"
#include "grpcpp/grpcpp.h"

namespace {

class GreeterClient {
 public:
  explicit GreeterClient(std::unique_ptr<helloworld::Greeter::StubInterface> stub) : stub_(std::move(stub)) {}

  // Blocks for the greeting, ten seconds at most.
  grpc::Status SayHello(const std::string& name, std::string* greeting) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    helloworld::HelloRequest request;
    request.set_name(name);
    helloworld::HelloReply reply;
    const grpc::Status status = stub_->SayHello(&context, request, &reply);
    *greeting = reply.message();
    return status;
  }

 private:
  const std::unique_ptr<helloworld::Greeter::StubInterface> stub_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " TARGET NAME" << std::endl;
    return 2;
  }
  const std::string target = argv[1];
  GreeterClient greeter(helloworld::nearcall_grpc::Greeter::NewStub(nearcall::CreateChannel(target)));
  std::string greeting;
  const grpc::Status status = greeter.SayHello(argv[2], &greeting);
  if (!status.ok()) {
    std::cerr << status.error_code() << ": " << status.error_message() << std::endl;
    return 1;
  }
  std::cout << greeting << std::endl;
  return 0;
}
