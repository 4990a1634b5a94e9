// Each limit of a server: what is at it passes, what is over it is refused, by name, and nobody else notices.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/hostile/frames.h"
#include "tests/hostile/peer.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using absl::StatusCode;

class Limits : public TransportTest, public ::testing::WithParamInterface<std::string> {
 protected:
  Limits() : TransportTest({.mechanism = MechanismNamed(GetParam())}) {}

  std::unique_ptr<TestService::Stub> Connect() { return TestService::NewStub(CreateChannel(address())); }
  static absl::Status Call(TestService::Stub* stub) { return stub->Echo(Payload()).status(); }
  static void ExpectRefused(const absl::Status& status, const std::string& option) {
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
    EXPECT_NE(status.message().find(option), std::string::npos) << status;
  }
  // A unary request of so many bytes in fragments, or all but its last fragment.
  static void SendInFragments(Peer* peer, uint32_t call, size_t size, bool whole = true) {
    Payload payload;
    payload.set_data(std::string(size - 4, 'x'));  // tag and length take 4, from 16 KiB to 2 MiB
    const std::string bytes = payload.SerializeAsString();
    ASSERT_EQ(bytes.size(), size);
    const std::string head = HeadFor("Up");
    peer->Send(OpenRequest("Up", call));
    constexpr size_t kFragment = 16 * 1024;
    for (size_t at = 0; at < size && (whole || at + kFragment < size); at += kFragment) {
      const size_t part = std::min(kFragment, size - at);
      peer->Send(Message(bytes.substr(at, part), static_cast<uint32_t>(size - at - part), 0, call));
    }
    if (whole) peer->Send(Message("", 0, frame_flags::kEndStream | frame_flags::kNoMessage, call));
  }
};

TEST_P(Limits, ConnectionsOfAUser) {
  if (!mechanism().credentials) GTEST_SKIP() << "the kernel does not say whose they are";
  ServerOptions options;
  options.max_connections_per_user = 2;
  StartServer(options);
  const auto first = Connect();
  EXPECT_EQ(Call(first.get()), absl::OkStatus());
  {
    const auto second = Connect();
    EXPECT_EQ(Call(second.get()), absl::OkStatus());
    ExpectRefused(Call(Connect().get()), "max_connections_per_user");
    EXPECT_EQ(Call(first.get()), absl::OkStatus());
    EXPECT_EQ(Call(second.get()), absl::OkStatus());
  }
  Await([&] { return Call(Connect().get()).ok(); });
}

TEST_P(Limits, CallsOfAUser) {
  if (!mechanism().credentials) GTEST_SKIP() << "the kernel does not say whose they are";
  ServerOptions options;
  options.max_concurrent_calls_per_user = 2;
  StartServer(options);
  const auto stub = Connect();
  GateRequest gate;
  gate.set_gate("gate");
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 2; ++i) {
    peers.push_back(ConnectPeer(address()));
    EXPECT_EQ(Call(stub.get()), absl::OkStatus()) << "below the limit";
    peers.back()->Send(Request("Block", gate.SerializeAsString()));
    if (i == 0) Await([&] { return stub->Look(gate)->entered() == 1; });
  }
  absl::Status refused;
  Await([&] { return !(refused = Call(stub.get())).ok(); });
  ExpectRefused(refused, "max_concurrent_calls_per_user");
  peers.clear();
  Await([&] { return Call(stub.get()).ok(); });
}

TEST_P(Limits, Handshakes) {
  if (!mechanism().socket) GTEST_SKIP() << "there are none";
  ServerOptions options;
  options.max_handshakes = 3;
  StartServer(options);
  const auto is_open = [](const RawSocket& socket) {
    pollfd poll_fd{socket.fd(), POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 0;
  };
  std::vector<RawSocket> silent;
  for (int i = 0; i < 2; ++i) silent.push_back(RawSocket::ConnectTo(address()));
  // One more at a time, which ends: at the limit.
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Call(Connect().get()), absl::OkStatus());
  EXPECT_TRUE(is_open(silent[0]));
  EXPECT_TRUE(is_open(silent[1]));
  // Over it: the oldest goes, and the new one is served.
  silent.push_back(RawSocket::ConnectTo(address()));
  EXPECT_EQ(Call(Connect().get()), absl::OkStatus());
  silent[0].AwaitEnd();
  EXPECT_TRUE(is_open(silent[1]));
  EXPECT_TRUE(is_open(silent[2]));
}

// What an inbox holds is taken from the quota in steps of 16 KiB, the first 4 KiB are free.
constexpr size_t kQuota = 10 * 16 * 1024;
constexpr size_t kMost = kQuota + 4 * 1024;

TEST_P(Limits, BytesOfAConnection) {
  ServerOptions options;
  options.max_buffered_bytes_per_connection = kQuota;
  StartServer(options);
  const auto good = Connect();
  uint32_t use = 0;
  const std::unique_ptr<Peer> peer = ConnectPeer(address());
  // A stream's reader takes messages as they come, in one piece; so what comes in fragments fills it alone.
  for (const size_t size : {kMost - 1, kMost}) {
    SendInFragments(peer.get(), CallId(0, ++use), size);
    EXPECT_EQ(peer->AwaitResponse(CallId(0, use)), 0) << size;
  }
  SendInFragments(peer.get(), CallId(0, ++use), kMost + 1);
  EXPECT_EQ(peer->AwaitResponse(CallId(0, use)), static_cast<int>(StatusCode::kResourceExhausted));
  EXPECT_EQ(Call(good.get()), absl::OkStatus());
  SendInFragments(peer.get(), CallId(0, ++use), kMost);
  EXPECT_EQ(peer->AwaitResponse(CallId(0, use)), 0) << "what was refused was given back";
}

// What several calls, or several connections, hold counts together.
TEST_P(Limits, BytesTogether) {
  struct Case {
    int64_t ServerOptions::*option;
    bool other_connection;
  };
  for (const Case& one :
       {Case{&ServerOptions::max_buffered_bytes_per_connection, false},
        Case{&ServerOptions::max_buffered_bytes_per_user, true}, Case{&ServerOptions::max_buffered_bytes, true}}) {
    if (one.option == &ServerOptions::max_buffered_bytes_per_user && !mechanism().credentials) continue;
    ServerOptions options;
    options.*one.option = kQuota;
    TestServer* const server = StartServer(options);
    {
      const auto good = Connect();
      const std::unique_ptr<Peer> first = ConnectPeer(address());
      const std::unique_ptr<Peer> other = ConnectPeer(address());
      Peer* const second = one.other_connection ? other.get() : first.get();
      SendInFragments(first.get(), CallId(1), 100'000, /*whole=*/false);
      first->Send(Request("Echo", "", CallId(2)));
      EXPECT_EQ(first->AwaitResponse(CallId(2)), 0);  // the server has it all
      SendInFragments(second, CallId(3), 50'000);
      EXPECT_EQ(second->AwaitResponse(CallId(3)), 0) << "below the limit";
      SendInFragments(second, CallId(3, 2), 100'000);
      EXPECT_EQ(second->AwaitResponse(CallId(3, 2)), static_cast<int>(StatusCode::kResourceExhausted));
      EXPECT_EQ(Call(good.get()), absl::OkStatus());
      first->Send(FrameOf(FrameKind::kCancel, {.call = CallId(1)}));
      first->Send(Request("Echo", "", CallId(2, 2)));
      EXPECT_EQ(first->AwaitResponse(CallId(2, 2)), 0);
      // Its handler gives back what the call held, as soon as it notices that nobody waits.
      uint32_t use = 2;
      Await([&] {
        SendInFragments(second, CallId(3, ++use), 100'000);
        return second->AwaitResponse(CallId(3, use)) == 0;
      });
    }
    EndServer(server);
  }
}

// What is announced is not set aside.
TEST_P(Limits, AnnouncedBytesTakeNothing) {
  const auto address_space = [] {
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages * 4096;
  };
  StartServer();
  const std::unique_ptr<Peer> peer = ConnectPeer(address());
  peer->Send(Request("Echo", ""));
  EXPECT_EQ(peer->AwaitResponse(kCall), 0);
  const int64_t before = address_space();
  for (uint32_t i = 1; i < 1024; ++i) {
    peer->Send(FrameOf(FrameKind::kRequest, {.call = CallId(i), .extra = static_cast<uint32_t>(HeadFor("Echo").size())},
                       HeadFor("Echo")));
    peer->Send(Message(std::string(100, 'a'), (4 << 20) - 100, 0, CallId(i)));
  }
  peer->Send(Request("Echo", "", CallId(0, 2)));
  EXPECT_EQ(peer->AwaitResponse(CallId(0, 2)), 0);
  EXPECT_LT(address_space() - before, int64_t{1} << 30) << "4 GiB were announced";
}

// A handler that does not care who waits for it.
class DeafService final : public TestService::Service {
 public:
  absl::Status Block(ServerContext*, const GateRequest*, GateState*) override {
    const int now = ++running;
    if (now > most) most = now;
    gate.WaitForNotification();
    --running;
    return absl::OkStatus();
  }
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  absl::Notification gate;
};

// Calls that were cancelled count for as long as their handlers run: a client that opens and cancels has twice as many
// at a time as it may have open, and no more.
TEST_P(Limits, HandlersThatNobodyWaitsFor) {
  DeafService service;
  ServerOptions options;
  options.max_concurrent_calls_per_connection = 2;
  ServerBuilder builder;
  builder.SetOptions(options).RegisterService(&service).AddListeningPort(AddressForServer());
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  ASSERT_EQ(server.status(), absl::OkStatus());
  {
    const std::unique_ptr<Peer> peer = ConnectPeer((*server)->addresses().front());
    for (int begun = 0; begun < 4; ++begun) {
      const uint32_t call = CallId(begun % 2, begun / 2 + 1);
      peer->Send(Request("Block", "", call));
      Await([&] { return service.running == begun + 1; });  // one that is cancelled before never runs
      peer->Send(FrameOf(FrameKind::kCancel, {.call = call}));
    }
    for (uint32_t use = 3; use < 20; ++use) {
      peer->Send(Request("Block", "", CallId(0, use)));
      EXPECT_EQ(peer->AwaitResponse(CallId(0, use)), static_cast<int>(StatusCode::kResourceExhausted));
    }
    EXPECT_EQ(service.most, 4);
  }
  service.gate.Notify();
  (*server)->Shutdown();
}

INSTANTIATE_TEST_SUITE_P(Hostile, Limits, ::testing::Values("unix", "tcp", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
