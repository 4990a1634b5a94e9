// A service as one writes it for gRPC, served on gRPC's own server and, beside it, on nearcall's addresses:
//   grpc_service 127.0.0.1:50051 shm:hello
// Ends on SIGINT or SIGTERM: calls in progress have five seconds.

#include <signal.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/hello/hello_grpc.nearcall.h"
#include "grpcpp/grpcpp.h"
#include "nearcall/nearcall.h"

namespace {

class GreeterImpl final : public helloworld::Greeter::Service {
  grpc::Status SayHello(grpc::ServerContext*, const helloworld::HelloRequest* request,
                        helloworld::HelloReply* reply) override {
    if (request->name().empty()) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "whom shall I greet?");
    reply->set_message("gRPC greets " + request->name());
    return grpc::Status::OK;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: " << argv[0] << " GRPC-ADDRESS NEARCALL-ADDRESS" << std::endl;
    return 2;
  }
  GreeterImpl greeter;
  grpc::ServerBuilder grpc_builder;
  int port = 0;
  grpc_builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials(), &port);
  grpc_builder.RegisterService(&greeter);
  const std::unique_ptr<grpc::Server> grpc_server = grpc_builder.BuildAndStart();
  if (grpc_server == nullptr) return 1;

  const std::unique_ptr<nearcall::Service> service = helloworld::nearcall_grpc::Greeter::NewService(&greeter);
  nearcall::ServerBuilder builder;
  builder.AddListeningPort(argv[2]);
  builder.RegisterService(service.get());
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  if (absl::Status status = (*server)->ShutdownOnSignals({SIGINT, SIGTERM}, absl::Seconds(5)); !status.ok()) {
    std::cerr << status << std::endl;
    return 1;
  }
  std::cout << "gRPC's port is " << port << ", nearcall listens on " << (*server)->addresses().front() << std::endl;
  (*server)->Wait();
  grpc_server->Shutdown();
  return 0;
}
