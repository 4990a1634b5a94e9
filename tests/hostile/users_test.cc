// Clients of another user. They have to be played by root.

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/hostile/frames.h"
#include "tests/hostile/peer.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"
#include "tests/unit/rendezvous/fixture.h"

namespace nearcall::testing {
namespace {

class OtherUsers : public TransportTest, public ::testing::WithParamInterface<std::string> {
 protected:
  OtherUsers() : TransportTest({.mechanism = MechanismNamed(GetParam())}) {}
  void SetUp() override {
    if (!MayPlayUsers()) GTEST_SKIP() << "needs root, to be nobody";
    ASSERT_EQ(chmod(directory().c_str(), 0755), 0);
  }
  // As far as the file goes they may: what keeps them out is the server.
  void OpenTheFile() { ASSERT_EQ(chmod(path().c_str(), 0666), 0); }
  std::string path() const { return address().substr(address().find(':') + 1); }
};

// The server's answer to whoever connects and says nothing: the status code of its WELCOME, -1 for none.
int AnswerToSilence(const std::string& address) {
  RawSocket socket = RawSocket::ConnectTo(address);
  std::vector<Fd> fds;
  protocol::Welcome welcome;
  if (!ReceiveHandshake(socket.fd(), FrameKind::kWelcome, &fds, &welcome)) return -1;
  return static_cast<int>(welcome.code());
}

TEST_P(OtherUsers, AreRefusedBeforeTheySayAWord) {
  StartServer();
  OpenTheFile();
  EXPECT_EQ(AsNobody([&] { return AnswerToSilence(address()); }),
            static_cast<int>(absl::StatusCode::kPermissionDenied));
  // Whatever they say.
  EXPECT_EQ(AsNobody([&] { return ConnectPeer(address()) == nullptr ? 0 : 1; }), 0);
  EXPECT_EQ(TestService::NewStub(CreateChannel(address()))->Echo(Payload()).status(), absl::OkStatus());
}

TEST_P(OtherUsers, DoNotEvenReachTheFile) {
  StartServer();
  EXPECT_EQ(AsNobody([&] { return access(path().c_str(), W_OK) == 0 ? 1 : 0; }), 0);
}

// Where they are let in they have a share, and who has used his up takes nothing from others.
TEST_P(OtherUsers, HaveAShare) {
  ServerOptions options;
  options.allow_other_users = true;
  options.max_connections_per_user = 3;
  options.max_concurrent_calls_per_user = 5;
  StartServer(options);
  const auto good = TestService::NewStub(CreateChannel(address()));
  EXPECT_EQ(good->Echo(Payload()).status(), absl::OkStatus());
  EXPECT_EQ(AsNobody([&] {
              std::vector<std::unique_ptr<Peer>> peers;
              for (int i = 0; i < 3; ++i) {
                peers.push_back(ConnectPeer(address()));
                if (peers.back() == nullptr) return 1;
              }
              if (ConnectPeer(address()) != nullptr) return 2;
              // Good calls of root's while this one has used everything up.
              GateRequest gate;
              gate.set_gate("other");
              for (uint32_t i = 0; i < 5; ++i)
                peers[i % 3]->Send(Request("Block", gate.SerializeAsString(), CallId(i)));
              while (true) {
                peers[0]->Send(Request("Echo", "", CallId(9)));
                const int code = peers[0]->AwaitResponse(CallId(9));
                if (code == static_cast<int>(absl::StatusCode::kResourceExhausted)) break;
                if (code != 0) return 3;
              }
              return 0;
            }),
            0);
  EXPECT_EQ(good->Echo(Payload()).status(), absl::OkStatus());
  EXPECT_EQ(TestService::NewStub(CreateChannel(address()))->Echo(Payload()).status(), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Hostile, OtherUsers, ::testing::Values("unix", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
