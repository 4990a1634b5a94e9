// The least program that serves over nearcall.

#include "nearcall/nearcall.h"

#include "benchmarks/echo.nearcall.h"
#include "benchmarks/echo.pb.h"

int main() {
  nearcall::benchmarks::Echo::Service service;
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("local:size").RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server.ok()) return 1;
  (*server)->Wait();
}
