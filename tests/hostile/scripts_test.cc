// Plays every script over every transport that it is for. The good client beside it notices nothing, and what the
// hostile one made the process open is closed again.

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"
#include "tests/hostile/plays.h"
#include "tests/testing/transport_test.h"

namespace nearcall::testing {

namespace {

// A script, over one transport.
template <class Script>
struct Play {
  Script script;
  std::string transport;
  friend void PrintTo(const Play& play, std::ostream* out) { *out << play.script.name << " over " << play.transport; }
};

template <class Script>
std::vector<Play<Script>> PlaysOf(const std::vector<std::vector<Script>>& tables) {
  std::vector<Play<Script>> plays;
  for (const std::vector<Script>& table : tables) {
    for (const Script& script : table) {
      if ((script.over & kUnix) != 0) plays.push_back({script, "unix"});
      if ((script.over & kTcp) != 0) plays.push_back({script, "tcp"});
      if ((script.over & kRing) != 0) plays.push_back({script, "shm"});
    }
  }
  return plays;
}

template <class Script>
std::string NameOfPlay(const ::testing::TestParamInfo<Play<Script>>& info) {
  return absl::StrCat(info.param.script.name, "_", info.param.transport);
}

// That protobuf writes nothing to stderr, as it does for a `string` that is not UTF-8: nobody may flood our logs.
class QuietProtobuf {
 public:
  QuietProtobuf() {
    lines_ = 0;
    before_ =
        google::protobuf::SetLogHandler([](google::protobuf::LogLevel, const char*, int, const std::string& line) {
          ++lines_;
          fprintf(stderr, "protobuf says: %s\n", line.c_str());
        });
  }
  ~QuietProtobuf() {
    google::protobuf::SetLogHandler(before_);
    EXPECT_EQ(lines_, 0) << "lines that a peer had protobuf write to stderr";
  }

 private:
  static inline std::atomic<int> lines_{0};
  google::protobuf::LogHandler* before_;
};

// --- Hostile clients ---

class HostileClient : public TransportTest, public ::testing::WithParamInterface<Play<ClientScript>> {
 protected:
  HostileClient() : TransportTest({.mechanism = MechanismNamed(GetParam().transport)}) {}
};

TEST_P(HostileClient, HarmsNobody) {
  const QuietProtobuf quiet;
  const ClientScript& script = GetParam().script;
  ServerOptions options;
  if (script.with != nullptr) script.with(&options);
  StartServer(options);
  GoodClient good(address());
  const Resources before = Resources::Of(getpid());
  PlayToServer(address(), script, [&] { good.AwaitMore(); });
  AwaitNoMoreThan(before, getpid(), /*threads=*/false);  // handlers' threads stay for a while; TearDown counts them
  good.AwaitMore();
  GoodClient(address()).AwaitMore();  // who comes later is welcome
}

INSTANTIATE_TEST_SUITE_P(Frames, HostileClient, ::testing::ValuesIn(PlaysOf<ClientScript>({FrameScripts()})),
                         NameOfPlay<ClientScript>);
INSTANTIATE_TEST_SUITE_P(Calls, HostileClient, ::testing::ValuesIn(PlaysOf<ClientScript>({CallScripts()})),
                         NameOfPlay<ClientScript>);
INSTANTIATE_TEST_SUITE_P(Load, HostileClient, ::testing::ValuesIn(PlaysOf<ClientScript>({LoadScripts()})),
                         NameOfPlay<ClientScript>);
INSTANTIATE_TEST_SUITE_P(Handshakes, HostileClient,
                         ::testing::ValuesIn(PlaysOf<ClientScript>({HandshakeScripts(), DescriptorScripts()})),
                         NameOfPlay<ClientScript>);
INSTANTIATE_TEST_SUITE_P(Rings, HostileClient, ::testing::ValuesIn(PlaysOf<ClientScript>({RingScripts()})),
                         NameOfPlay<ClientScript>);

// --- Hostile servers ---

class HostileServer : public TransportTest, public ::testing::WithParamInterface<Play<ServerScript>> {
 protected:
  HostileServer() : TransportTest({.mechanism = MechanismNamed(GetParam().transport)}) {}
};

TEST_P(HostileServer, FailsItsOwnCallsAlone) {
  const QuietProtobuf quiet;
  const ServerScript& script = GetParam().script;
  StartServer();
  GoodClient good(address());
  const Resources before = Resources::Of(getpid());
  {
    const std::unique_ptr<RawServer> hostile = HostileServerOf(AddressForServer(), script);
    for (int i = 0; i < 2; ++i) CallHostileServer(hostile->address(), script);
  }
  AwaitNoMoreThan(before, getpid(), /*threads=*/false);
  good.AwaitMore();
}

INSTANTIATE_TEST_SUITE_P(Attachments, HostileClient, ::testing::ValuesIn(PlaysOf<ClientScript>({AttachmentScripts()})),
                         NameOfPlay<ClientScript>);
INSTANTIATE_TEST_SUITE_P(Welcomes, HostileServer, ::testing::ValuesIn(PlaysOf<ServerScript>({WelcomeScripts()})),
                         NameOfPlay<ServerScript>);
INSTANTIATE_TEST_SUITE_P(Answers, HostileServer, ::testing::ValuesIn(PlaysOf<ServerScript>({AnswerScripts()})),
                         NameOfPlay<ServerScript>);
INSTANTIATE_TEST_SUITE_P(Streams, HostileServer, ::testing::ValuesIn(PlaysOf<ServerScript>({StreamScripts()})),
                         NameOfPlay<ServerScript>);
INSTANTIATE_TEST_SUITE_P(Attachments, HostileServer,
                         ::testing::ValuesIn(PlaysOf<ServerScript>({AttachmentServerScripts()})),
                         NameOfPlay<ServerScript>);
INSTANTIATE_TEST_SUITE_P(Rings, HostileServer, ::testing::ValuesIn(PlaysOf<ServerScript>({RingServerScripts()})),
                         NameOfPlay<ServerScript>);

}  // namespace
}  // namespace nearcall::testing
