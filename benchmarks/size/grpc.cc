// The least program that serves over gRPC.

#include <grpcpp/grpcpp.h>

#include "benchmarks/echo.grpc.pb.h"
#include "benchmarks/echo.pb.h"

int main() {
  nearcall::benchmarks::Echo::Service service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:size", grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  server->Wait();
}
