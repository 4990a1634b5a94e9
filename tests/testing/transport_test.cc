#include "tests/testing/transport_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/fd.h"
#include "tests/testing/fault.h"

namespace nearcall::testing {
namespace {

int FreeTcpPort() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    abort();
  }
  return ntohs(address.sin_port);
}

}  // namespace

TransportTest::TransportTest(testing::Setup setup) : setup_(std::move(setup)), before_(Resources::Of(getpid())) {
  // Not below the test's own directory: a socket's path may have 107 bytes.
  char name[] = "/tmp/nearcall.XXXXXX";
  directory_ = mkdtemp(name);
  before_.fds.insert(before_.fds.end(), static_cast<size_t>(mechanism().kept_fds), "kept by the transport's library");
}

TransportTest::~TransportTest() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void TransportTest::TearDown() {
  for (size_t i = 0; i < servers_.size(); ++i) {
    // Its threads come and go with the work, so they count at its end only: for a server in this process.
    if (server_elsewhere() && servers_[i] != nullptr) AwaitNoMoreThan(servers_before_[i], servers_[i]->pid(), false);
    if (servers_[i] != nullptr && server_elsewhere()) servers_[i]->Shutdown();
  }
  servers_.clear();
  AwaitNoMoreThan(before_, getpid());
  if (!killed_) {
    EXPECT_EQ(FilesIn(directory_), std::vector<std::string>());
  }
}

std::string TransportTest::AddressForServer() {
  if (mechanism().scheme == "tcp" || mechanism().scheme == "grpc") return mechanism().scheme + ":127.0.0.1:0";
  if (mechanism().scheme == "unix-abstract" || mechanism().scheme == "inproc") {
    return absl::StrCat(mechanism().scheme, ":nearcall-", getpid(), "-", directory_.substr(directory_.size() - 6), "-",
                        ++addresses_made_);
  }
  return absl::StrCat(mechanism().scheme, ":", directory_, "/", ++addresses_made_, ".sock");
}

std::string TransportTest::AddressForNobody() {
  if (mechanism().scheme != "tcp" && mechanism().scheme != "grpc") return AddressForServer();
  return absl::StrCat(mechanism().scheme, ":127.0.0.1:", FreeTcpPort());
}

TestServer* TransportTest::StartServer(ServerOptions options) { return StartServerOn(AddressForServer(), options); }

TestServer* TransportTest::StartServerOn(const std::string& address, ServerOptions options) {
  options = UnderFault(options);
  options.allow_shared_memory = mechanism().shared_memory;
  absl::StatusOr<std::unique_ptr<TestServer>> server =
      TestServer::Start(setup_.server, {address}, options, setup_.service);
  if (!server.ok()) {
    ADD_FAILURE() << "cannot start a server on " << address << ": " << server.status();
    abort();
  }
  servers_.push_back(*std::move(server));
  servers_before_.push_back(Resources::Of(servers_.back()->pid()));
  return servers_.back().get();
}

void TransportTest::EndServer(TestServer* server) {
  const auto at = std::find_if(servers_.begin(), servers_.end(), [&](const auto& one) { return one.get() == server; });
  servers_before_.erase(servers_before_.begin() + (at - servers_.begin()));
  (*at)->Shutdown();
  servers_.erase(at);
}

void TransportTest::KillServer(TestServer* server) {
  const auto at = std::find_if(servers_.begin(), servers_.end(), [&](const auto& one) { return one.get() == server; });
  servers_before_.erase(servers_before_.begin() + (at - servers_.begin()));
  (*at)->Kill();
  servers_.erase(at);
  killed_ = true;
}

}  // namespace nearcall::testing
