// Passes calls on between two addresses, whatever their methods are:
//   nearcall_grpc_bridge --listen=shm:x --upstream=grpc:127.0.0.1:50051   our clients call a gRPC server
//   nearcall_grpc_bridge --listen=grpc:127.0.0.1:50051 --upstream=shm:x   gRPC clients call our server
// Ends on SIGINT or SIGTERM: calls in progress have five seconds.

#include <signal.h>

#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "nearcall/bridge.h"
#include "nearcall/grpc.h"
#include "nearcall/nearcall.h"

ABSL_FLAG(std::vector<std::string>, listen, {}, "where to listen: addresses, with commas in between");
ABSL_FLAG(std::string, upstream, "", "whom to call: an address");
ABSL_FLAG(int, max_message_bytes, -1, "the largest message to pass on; -1: what the two ends allow each other");
ABSL_FLAG(bool, allow_remote, false, "listen on more than loopback, though nothing is encrypted or authenticated");
ABSL_FLAG(std::string, listen_cert, "", "TLS for grpc: addresses that it listens on: the certificate's PEM file");
ABSL_FLAG(std::string, listen_key, "", "and its key's");
ABSL_FLAG(std::string, listen_client_ca, "", "mTLS: callers must have a certificate that this PEM file vouches for");
ABSL_FLAG(std::string, upstream_ca, "", "TLS for a grpc: upstream: the PEM file that vouches for it");
ABSL_FLAG(std::string, upstream_cert, "", "mTLS: our certificate's PEM file");
ABSL_FLAG(std::string, upstream_key, "", "and its key's");
ABSL_FLAG(bool, upstream_insecure, false, "call a grpc: upstream on another machine without TLS");

namespace {

// Empty for no file.
std::string Contents(const std::string& path) {
  if (path.empty()) return "";
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  if (!in) {
    std::cerr << "cannot read " << path << std::endl;
    exit(2);
  }
  return out.str();
}

nearcall::ChannelOptions UpstreamOptions() {
  nearcall::ChannelOptions options;
  options.max_receive_message_bytes = absl::GetFlag(FLAGS_max_message_bytes);
  if (absl::GetFlag(FLAGS_upstream_insecure)) {
    options.transport = nearcall::GrpcChannel(grpc::InsecureChannelCredentials());
  } else if (!absl::GetFlag(FLAGS_upstream_ca).empty()) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = Contents(absl::GetFlag(FLAGS_upstream_ca));
    tls.pem_cert_chain = Contents(absl::GetFlag(FLAGS_upstream_cert));
    tls.pem_private_key = Contents(absl::GetFlag(FLAGS_upstream_key));
    options.transport = nearcall::GrpcChannel(grpc::SslCredentials(tls));
  }
  return options;
}

nearcall::ServerOptions ListenOptions() {
  nearcall::ServerOptions options;
  options.max_receive_message_bytes = absl::GetFlag(FLAGS_max_message_bytes);
  options.allow_remote = absl::GetFlag(FLAGS_allow_remote);
  if (!absl::GetFlag(FLAGS_listen_cert).empty()) {
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back(
        {Contents(absl::GetFlag(FLAGS_listen_key)), Contents(absl::GetFlag(FLAGS_listen_cert))});
    tls.pem_root_certs = Contents(absl::GetFlag(FLAGS_listen_client_ca));
    if (!tls.pem_root_certs.empty()) {
      tls.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    }
    options.transport = nearcall::GrpcServer(grpc::SslServerCredentials(tls));
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  if (absl::GetFlag(FLAGS_listen).empty() || absl::GetFlag(FLAGS_upstream).empty()) {
    std::cerr << "usage: " << argv[0] << " --listen=ADDRESS,... --upstream=ADDRESS" << std::endl;
    return 2;
  }
  nearcall::Bridge bridge(nearcall::CreateChannel(absl::GetFlag(FLAGS_upstream), UpstreamOptions()));
  nearcall::ServerBuilder builder;
  builder.SetOptions(ListenOptions());
  for (const std::string& address : absl::GetFlag(FLAGS_listen)) builder.AddListeningPort(address);
  builder.RegisterCallbackGenericService(&bridge);
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
