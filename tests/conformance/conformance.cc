#include "tests/conformance/conformance.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "runtime/base/fd.h"

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

std::vector<Setup> SetupsOf(const Mechanism& mechanism) {
  std::vector<Setup> setups = {{mechanism, Where::kThisProcess}};
  if (mechanism.between_processes) setups.push_back({mechanism, Where::kOwnProcess});
  return setups;
}

std::string NameOf(const ::testing::TestParamInfo<Setup>& info) {
  return info.param.server == Where::kThisProcess ? "threads" : "processes";
}

Conformance::Conformance() : before_(Resources::Of(getpid())) {
  // Not below the test's own directory: a socket's path may have 107 bytes.
  char name[] = "/tmp/nearcall.XXXXXX";
  directory_ = mkdtemp(name);
}

Conformance::~Conformance() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void Conformance::TearDown() {
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

std::string Conformance::AddressForServer() {
  if (mechanism().scheme == "tcp") return "tcp:127.0.0.1:0";
  if (mechanism().scheme == "unix-abstract" || mechanism().scheme == "inproc") {
    return absl::StrCat(mechanism().scheme, ":nearcall-", getpid(), "-", directory_.substr(directory_.size() - 6), "-",
                        ++addresses_made_);
  }
  return absl::StrCat(mechanism().scheme, ":", directory_, "/", ++addresses_made_, ".sock");
}

std::string Conformance::AddressForNobody() {
  return mechanism().scheme == "tcp" ? absl::StrCat("tcp:127.0.0.1:", FreeTcpPort()) : AddressForServer();
}

TestServer* Conformance::StartServer(ServerOptions options) { return StartServerOn(AddressForServer(), options); }

TestServer* Conformance::StartServerOn(const std::string& address, ServerOptions options) {
  options.allow_shared_memory = mechanism().shared_memory;
  absl::StatusOr<std::unique_ptr<TestServer>> server = TestServer::Start(GetParam().server, {address}, options);
  if (!server.ok()) {
    ADD_FAILURE() << "cannot start a server on " << address << ": " << server.status();
    abort();
  }
  servers_.push_back(*std::move(server));
  servers_before_.push_back(Resources::Of(servers_.back()->pid()));
  return servers_.back().get();
}

void Conformance::EndServer(TestServer* server) {
  const auto at = std::find_if(servers_.begin(), servers_.end(), [&](const auto& one) { return one.get() == server; });
  servers_before_.erase(servers_before_.begin() + (at - servers_.begin()));
  (*at)->Shutdown();
  servers_.erase(at);
}

void Conformance::KillServer(TestServer* server) {
  const auto at = std::find_if(servers_.begin(), servers_.end(), [&](const auto& one) { return one.get() == server; });
  servers_before_.erase(servers_before_.begin() + (at - servers_.begin()));
  (*at)->Kill();
  servers_.erase(at);
  killed_ = true;
}

Conformance::Stub Conformance::Connect(const ChannelOptions& options) const {
  return TestService::NewStub(CreateChannel(address(), options));
}

void Conformance::ExpectServes(TestService::Stub* stub) {
  static std::atomic<int64_t> number{0};
  ClientContext context;
  Payload response;
  const Payload request = PayloadOf(20, ++number);
  const absl::Status status = stub->Echo(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(response.number(), request.number());
  EXPECT_EQ(response.data(), request.data());
}

GateRequest Conformance::Gate(const std::string& gate) {
  GateRequest request;
  request.set_gate(gate);
  return request;
}

void Conformance::OpenGate(TestService::Stub* stub, const std::string& gate) {
  const absl::Status status = stub->Open(Gate(gate)).status();
  ASSERT_TRUE(status.ok()) << status;
}

GateState Conformance::Look(TestService::Stub* stub, const std::string& gate) {
  const absl::StatusOr<GateState> state = stub->Look(Gate(gate));
  EXPECT_TRUE(state.ok()) << state.status();
  return state.value_or(GateState());
}

void Conformance::AwaitAtGate(TestService::Stub* stub, const std::string& gate, int64_t entered) {
  Await([&] { return Look(stub, gate).entered() >= entered; });
}

void Conformance::AwaitCancelled(TestService::Stub* stub, const std::string& gate, int64_t cancelled) {
  Await([&] { return Look(stub, gate).cancelled() >= cancelled; });
}

Payload PayloadOf(size_t data_size, int64_t number) {
  std::string data(data_size, '\0');
  for (size_t i = 0; i < data_size; ++i) data[i] = static_cast<char>(i * 7 + (i >> 8) * 13 + (i >> 16) * 29);
  Payload payload;
  payload.set_data(std::move(data));
  payload.set_number(number);
  return payload;
}

Payload PayloadOfExactly(size_t serialized_size) {
  // A tag, the length in one to four bytes, the data; where the length itself grows, the number takes up the slack.
  Payload payload = PayloadOf(serialized_size);
  const size_t over = payload.ByteSizeLong() - serialized_size;
  payload = PayloadOf(serialized_size - over);
  if (payload.ByteSizeLong() != serialized_size) {
    payload = PayloadOf(serialized_size - over - 1);
    payload.set_number(1);
  }
  EXPECT_EQ(payload.ByteSizeLong(), serialized_size);
  return payload;
}

}  // namespace nearcall::testing
