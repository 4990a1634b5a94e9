#ifndef NEARCALL_TESTS_GRPC_SERVERS_H_
#define NEARCALL_TESTS_GRPC_SERVERS_H_

#include <memory>
#include <string>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/grpc/greeters.h"

// Servers of the greeter, for as long as they live.

// nearcall's, with gRPC's health service.
struct NearcallServer {
  explicit NearcallServer(const std::string& address,
                          const nearcall::ServerOptions& options = nearcall::ServerOptions()) {
    nearcall::ServerBuilder builder;
    builder.SetOptions(options);
    builder.AddListeningPort(address, &port);
    builder.RegisterService(service.get());
    builder.EnableHealthCheckService();
    absl::StatusOr<std::unique_ptr<nearcall::Server>> started = builder.BuildAndStart();
    EXPECT_TRUE(started.ok()) << started.status();
    server = *std::move(started);
  }
  const std::string& address() const { return server->addresses().front(); }
  // Of a grpc: address, what gRPC calls it.
  std::string target() const { return address().substr(5); }

  const std::unique_ptr<nearcall::Service> service = NewNearcallGreeter();
  std::unique_ptr<nearcall::Server> server;
  int port = 0;
};

// gRPC's.
struct NativeServer {
  explicit NativeServer(
      const std::string& address = "127.0.0.1:0",
      const std::shared_ptr<grpc::ServerCredentials>& credentials = grpc::InsecureServerCredentials()) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, credentials, &port);
    builder.RegisterService(service.get());
    server = builder.BuildAndStart();
    EXPECT_NE(server, nullptr);
  }
  // What nearcall calls it.
  std::string address() const { return "grpc:127.0.0.1:" + std::to_string(port); }

  const std::unique_ptr<grpc::Service> service = NewGrpcGreeter();
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

#endif  // NEARCALL_TESTS_GRPC_SERVERS_H_
