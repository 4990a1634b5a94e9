// grpc: addresses with TLS and mTLS, between nearcall and real gRPC. The certificates are made by openssl, here.

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "gtest/gtest.h"
#include "nearcall/grpc.h"
#include "tests/grpc/greeters.h"
#include "tests/grpc/servers.h"

namespace {

using nearcall::CreateChannel;

// What one party shows, and whom it believes; PEM.
struct Identity {
  std::string key;
  std::string certificate;
};

class GrpcTlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const char* authority : {"ca", "other-ca"}) {
      Run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=" + std::string(authority) + " -keyout " +
          File(authority, "key") + " -out " + File(authority, "pem"));
    }
    std::ofstream(File("server", "ext")) << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    std::ofstream(File("client", "ext")) << "subjectAltName=DNS:client\n";
    for (const char* party : {"server", "client"}) {
      Run("req -newkey rsa:2048 -nodes -subj /CN=" + std::string(party) + " -keyout " + File(party, "key") + " -out " +
          File(party, "csr"));
      Run("x509 -req -days 2 -in " + File(party, "csr") + " -CA " + File("ca", "pem") + " -CAkey " + File("ca", "key") +
          " -CAcreateserial -extfile " + File(party, "ext") + " -out " + File(party, "pem"));
    }
  }

  static std::string File(const std::string& name, const std::string& kind) {
    return ::testing::TempDir() + "/tls-test-" + name + "." + kind;
  }
  static void Run(const std::string& arguments) {
    ASSERT_EQ(system(("openssl " + arguments + " 2>" + File("openssl", "log")).c_str()), 0) << arguments;
  }
  static std::string Contents(const std::string& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  static Identity Of(const std::string& party) { return {Contents(File(party, "key")), Contents(File(party, "pem"))}; }

  static std::shared_ptr<grpc::ServerCredentials> ServerCredentials(bool mutual) {
    const Identity server = Of("server");
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({server.key, server.certificate});
    if (mutual) {
      options.pem_root_certs = Of("ca").certificate;
      options.client_certificate_request = GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
    }
    return grpc::SslServerCredentials(options);
  }
  static std::shared_ptr<grpc::ChannelCredentials> ChannelCredentials(bool with_certificate,
                                                                      const std::string& believed = "ca") {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Of(believed).certificate;
    if (with_certificate) {
      const Identity client = Of("client");
      options.pem_private_key = client.key;
      options.pem_cert_chain = client.certificate;
    }
    return grpc::SslCredentials(options);
  }
  static nearcall::ServerOptions ServerOptions(bool mutual) {
    nearcall::ServerOptions options;
    options.transport = nearcall::GrpcServer(ServerCredentials(mutual));
    return options;
  }
  // What our client says: empty, or what went wrong.
  static std::string Try(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials) {
    nearcall::ChannelOptions options;
    options.transport = nearcall::GrpcChannel(std::move(credentials));
    return TryNearcallStub(CreateChannel(address, options));
  }
};

TEST_F(GrpcTlsTest, BothWays) {
  const NearcallServer ours("grpc:127.0.0.1:0", ServerOptions(/*mutual=*/false));
  const NativeServer native("127.0.0.1:0", ServerCredentials(/*mutual=*/false));
  EXPECT_EQ(Try(ours.address(), ChannelCredentials(false)), "");
  EXPECT_EQ(Try(native.address(), ChannelCredentials(false)), "");
  EXPECT_EQ(Try("grpc:dns:///localhost:" + std::to_string(ours.port), ChannelCredentials(false)), "");
  EXPECT_EQ(TryGrpcStub(grpc::CreateChannel(ours.target(), ChannelCredentials(false))), "");
}

TEST_F(GrpcTlsTest, NobodyIsBelievedWithoutReason) {
  const NearcallServer ours("grpc:127.0.0.1:0", ServerOptions(/*mutual=*/false));
  const NativeServer native("127.0.0.1:0", ServerCredentials(/*mutual=*/false));
  for (const std::string& address : {ours.address(), native.address()}) {
    EXPECT_NE(Try(address, ChannelCredentials(false, "other-ca")).find("UNAVAILABLE"), std::string::npos) << address;
    // In the clear.
    EXPECT_NE(TryNearcallStub(CreateChannel(address)).find("UNAVAILABLE"), std::string::npos) << address;
  }
}

TEST_F(GrpcTlsTest, MutualBothWays) {
  const NearcallServer ours("grpc:127.0.0.1:0", ServerOptions(/*mutual=*/true));
  const NativeServer native("127.0.0.1:0", ServerCredentials(/*mutual=*/true));
  for (const std::string& address : {ours.address(), native.address()}) {
    EXPECT_EQ(Try(address, ChannelCredentials(/*with_certificate=*/true)), "") << address;
    EXPECT_NE(Try(address, ChannelCredentials(/*with_certificate=*/false)).find("UNAVAILABLE"), std::string::npos)
        << address;
  }
  EXPECT_EQ(TryGrpcStub(grpc::CreateChannel(ours.target(), ChannelCredentials(/*with_certificate=*/true))), "");
  EXPECT_NE(TryGrpcStub(grpc::CreateChannel(ours.target(), ChannelCredentials(/*with_certificate=*/false))), "");
}

// With credentials an address may be reached from other machines; without, see native_test.cc.
TEST_F(GrpcTlsTest, CredentialsOpenOtherInterfaces) {
  const NearcallServer server("grpc:0.0.0.0:0", ServerOptions(/*mutual=*/true));
  EXPECT_EQ(Try("grpc:127.0.0.1:" + std::to_string(server.port), ChannelCredentials(true)), "");
}

// Other addresses of the same server stay as they are.
TEST_F(GrpcTlsTest, OneServerBesideOtherAddresses) {
  const auto service = NewNearcallGreeter();
  nearcall::ServerBuilder builder;
  builder.SetOptions(ServerOptions(/*mutual=*/true));
  builder.AddListeningPort("shm:grpc-tls-test").AddListeningPort("grpc:127.0.0.1:0");
  builder.RegisterService(service.get());
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(TryNearcallStub(CreateChannel("shm:grpc-tls-test")), "");
  EXPECT_EQ(Try((*server)->addresses().back(), ChannelCredentials(true)), "");
}

}  // namespace
