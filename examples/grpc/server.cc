// The server of examples/hello for gRPC's clients, too, with gRPC's health and reflection:
//   server --listen=local:hello,grpc:127.0.0.1:50051
// With --cert and --key (PEM files), grpc: addresses speak TLS and may be reached from other machines.

#include <signal.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/hello/greeter.h"
#include "grpcpp/security/server_credentials.h"
#include "nearcall/grpc.h"
#include "nearcall/nearcall.h"

ABSL_FLAG(std::vector<std::string>, listen, {"grpc:127.0.0.1:50051"},
          "where to listen: addresses, with commas in between");
ABSL_FLAG(std::string, cert, "", "the server's certificate, a PEM file");
ABSL_FLAG(std::string, key, "", "its key, a PEM file");

namespace {

std::string Contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  GreeterImpl greeter;
  nearcall::ServerOptions options;
  if (!absl::GetFlag(FLAGS_cert).empty()) {
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({Contents(absl::GetFlag(FLAGS_key)), Contents(absl::GetFlag(FLAGS_cert))});
    options.transport = nearcall::GrpcServer(grpc::SslServerCredentials(tls));
  }
  nearcall::ServerBuilder builder;
  builder.SetOptions(options);
  for (const std::string& address : absl::GetFlag(FLAGS_listen)) builder.AddListeningPort(address);
  builder.RegisterService(&greeter);
  builder.EnableHealthCheckService();
  builder.EnableReflection();
  absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    std::cerr << server.status() << std::endl;
    return 1;
  }
  if (absl::Status status = (*server)->ShutdownOnSignals({SIGINT, SIGTERM}, absl::Seconds(5)); !status.ok()) {
    std::cerr << status << std::endl;
    return 1;
  }
  for (const std::string& address : (*server)->addresses()) std::cout << "listening on " << address << std::endl;
  (*server)->Wait();
  return 0;
}
