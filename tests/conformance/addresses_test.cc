// Addresses that cannot work, and what stands in a server's way.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/conformance/raw_socket.h"
#include "tests/testing/test_server.h"
#include "tests/testing/test_service.h"

namespace nearcall::testing {
namespace {

class Addresses : public ::testing::Test {
 protected:
  Addresses() {
    char name[] = "/tmp/nearcall.XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~Addresses() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  static absl::Status Listen(const std::vector<std::string>& addresses, const ServerOptions& options = {}) {
    return TestServer::Start(Where::kThisProcess, addresses, options).status();
  }
  static absl::Status Call(const std::string& address) {
    return TestService::NewStub(CreateChannel(address))->Echo(Payload()).status();
  }

  std::string directory_;
};

TEST_F(Addresses, ThatCanNeverWorkAreRefusedOnBothSides) {
  const std::vector<std::string> bad = {"",
                                        "greeter",
                                        ":x",
                                        "local:",
                                        "unix:",
                                        "tcp:",
                                        "inproc:",
                                        "nosuch:thing",
                                        "LOCAL:x",
                                        "tcp:127.0.0.1",
                                        "tcp:127.0.0.1:",
                                        "tcp::80",
                                        "tcp:127.0.0.1:http",
                                        "tcp:127.0.0.1:65536",
                                        "tcp:127.0.0.1:-1",
                                        "tcp:127.0.0.1:99999999999999999999",
                                        "tcp:::1:80",
                                        "tcp:[::1]",
                                        "tcp:[::1:80",
                                        "unix:/" + std::string(200, 'p'),
                                        "local:/" + std::string(200, 'p'),
                                        "unix-abstract:" + std::string(200, 'p'),
                                        "unix:" + std::string("/tmp/a\0b", 8)};
  for (const std::string& address : bad) {
    const absl::Status listen = Listen({address});
    EXPECT_EQ(listen.code(), absl::StatusCode::kInvalidArgument) << "\"" << address << "\": " << listen;
    const absl::Status call = Call(address);
    EXPECT_EQ(call.code(), absl::StatusCode::kInvalidArgument) << "\"" << address << "\": " << call;
    EXPECT_EQ(CreateChannel(address)->GetState(true), ConnectivityState::kShutdown) << address;
    EXPECT_FALSE(CreateChannel(address)->WaitForConnected(absl::InfiniteFuture())) << address;
  }
}

TEST_F(Addresses, AnUnknownSchemeIsNamedWithTheKnownOnes) {
  const absl::Status status = Call("nosuch:thing");
  for (const char* scheme : {"nosuch", "local:", "shm:", "unix:", "unix-abstract:", "tcp:", "inproc:"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), scheme)) << status;
  }
}

TEST_F(Addresses, PortNothingIsForServers) {
  EXPECT_EQ(Call("tcp:127.0.0.1:0").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(Addresses, RemoteIsOffUnlessAskedFor) {
  for (const char* address : {"tcp:0.0.0.0:0", "tcp:[::]:0"}) {
    const absl::Status status = Listen({address});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "allow_remote")) << status;
  }
  ServerOptions options;
  options.allow_remote = true;
  EXPECT_TRUE(Listen({"tcp:0.0.0.0:0"}, options).ok());
}

TEST_F(Addresses, PortsAreReported) {
  TestServiceImpl service;
  ServerBuilder builder;
  int tcp_port = -1, unix_port = -1;
  builder.AddListeningPort("tcp:127.0.0.1:0", &tcp_port);
  builder.AddListeningPort("unix:" + directory_ + "/s", &unix_port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_GT(tcp_port, 0);
  EXPECT_EQ(unix_port, 0);
  EXPECT_EQ((*server)->addresses(), (std::vector<std::string>{absl::StrCat("tcp:127.0.0.1:", tcp_port),
                                                              "unix:" + directory_ + "/s"}));
  for (const std::string& address : (*server)->addresses()) EXPECT_TRUE(Call(address).ok());
}

TEST_F(Addresses, ALiveServersAddressIsRefused) {
  for (const std::string& address : {"unix:" + directory_ + "/s", "local:" + directory_ + "/l", "shm:" + directory_ + "/r",
                                    absl::StrCat("unix-abstract:nearcall-a-", getpid()), std::string("inproc:a"),
                                    std::string("tcp:127.0.0.1:0")}) {
    auto server = TestServer::Start(Where::kThisProcess, {address}, {});
    ASSERT_TRUE(server.ok()) << server.status();
    const std::string taken = (*server)->addresses().front();
    const absl::Status status = Listen({taken});
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), taken)) << status;
    EXPECT_TRUE(Call(taken).ok()) << taken;
  }
}

TEST_F(Addresses, AStaleSocketFileIsTakenOver) {
  for (const char* scheme : {"unix:", "local:", "shm:"}) {
    const std::string address = scheme + directory_ + "/stale";
    auto server = TestServer::Start(Where::kOwnProcess, {address}, {});
    ASSERT_TRUE(server.ok()) << server.status();
    (*server)->Kill();
    EXPECT_TRUE(std::filesystem::exists(directory_ + "/stale"));
    EXPECT_EQ(Call(address).code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(Listen({address}).ok());
    EXPECT_FALSE(std::filesystem::exists(directory_ + "/stale"));
  }
}

TEST_F(Addresses, AFileThatIsNoSocketIsLeftAlone) {
  const std::string path = directory_ + "/precious";
  close(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  EXPECT_EQ(Listen({"unix:" + path}).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(Addresses, ADirectoryThatIsNotThere) {
  EXPECT_EQ(Listen({"unix:" + directory_ + "/no/such"}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Call("unix:" + directory_ + "/no/such").code(), absl::StatusCode::kUnavailable);
}

// One socket serves the three schemes that share it.
TEST_F(Addresses, ALocalServerServesShmAndUnixClients) {
  const std::string name = directory_ + "/shared";
  auto server = TestServer::Start(Where::kThisProcess, {"local:" + name}, {});
  ASSERT_TRUE(server.ok()) << server.status();
  for (const auto& [scheme, transport] : {std::pair<std::string, std::string>{"local:", "shm"}, {"shm:", "shm"},
                                          {"unix:", "unix"}}) {
    const auto info = TestService::NewStub(CreateChannel(scheme + name))->Inspect(InspectRequest());
    ASSERT_TRUE(info.ok()) << info.status();
    EXPECT_EQ(info->transport(), transport);
  }
}

TEST_F(Addresses, OneServerMayListOneNameUnderSeveralSchemes) {
  const std::string name = directory_ + "/shared";
  auto server = TestServer::Start(Where::kThisProcess, {"unix:" + name, "shm:" + name}, {});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Call("unix:" + name).ok());
  EXPECT_TRUE(Call("shm:" + name).ok());
  EXPECT_TRUE(Call("local:" + name).ok());
}

TEST_F(Addresses, ARingThatIsNotOfferedIsRefused) {
  const std::string name = directory_ + "/plain";
  ServerOptions no_ring;
  no_ring.allow_shared_memory = false;
  {
    auto server = TestServer::Start(Where::kThisProcess, {"unix:" + name}, {});
    const absl::Status status = Call("shm:" + name);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  }
  auto server = TestServer::Start(Where::kThisProcess, {"local:" + name}, no_ring);
  EXPECT_EQ(Call("shm:" + name).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Call("local:" + name).ok());
}

TEST_F(Addresses, SomebodyElsesSocketIsNoServer) {
  const std::string address = "unix:" + directory_ + "/other";
  RawSocket other = RawSocket::ListenAt(address);
  EXPECT_EQ(Listen({address}).code(), absl::StatusCode::kAlreadyExists);
  other.StopListening();
}

TEST_F(Addresses, WhatABuilderCannotBuild) {
  EXPECT_EQ(ServerBuilder().BuildAndStart().status().code(), absl::StatusCode::kInvalidArgument);
  TestServiceImpl one, two;
  ServerBuilder builder;
  builder.AddListeningPort("inproc:builder");
  builder.RegisterService(&one);
  builder.RegisterService(&two);
  EXPECT_EQ(builder.BuildAndStart().status().code(), absl::StatusCode::kAlreadyExists);
  // Whatever went before the failure is undone.
  EXPECT_FALSE(Listen({"unix:" + directory_ + "/undone", "nosuch:x"}).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/undone"));
  EXPECT_TRUE(Listen({"unix:" + directory_ + "/undone"}).ok());
}

}  // namespace
}  // namespace nearcall::testing
