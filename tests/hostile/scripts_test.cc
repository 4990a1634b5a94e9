// Plays every script over every transport that it is for. The good client beside it notices nothing, and what the
// hostile one made the process open is closed again.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "google/protobuf/stubs/logging.h"
#include "gtest/gtest.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/hostile/script.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {

std::string PayloadBytes(size_t data_size, int64_t number) {
  Payload payload;
  payload.set_data(std::string(data_size, 'p'));
  payload.set_number(number);
  return payload.SerializeAsString();
}

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

// Somebody who means well, and calls all the time.
class GoodClient {
 public:
  explicit GoodClient(const std::string& address)
      : stub_(TestService::NewStub(CreateChannel(address))), thread_([this] {
          while (!stop_) {
            Payload request;
            request.set_number(calls_ + 1);
            request.set_data(std::string(static_cast<size_t>(calls_ % 1000), 'g'));
            const absl::StatusOr<Payload> response = stub_->Echo(request);
            EXPECT_TRUE(response.ok()) << "a good client's call failed: " << response.status();
            EXPECT_TRUE(!response.ok() || response->number() == request.number());
            ++calls_;
          }
        }) {
    AwaitMore();
  }
  ~GoodClient() {
    stop_ = true;
    thread_.join();
  }
  void AwaitMore() {
    const int64_t now = calls_;
    Await([&] { return calls_ >= now + 10; });
  }

 private:
  const std::unique_ptr<TestService::Stub> stub_;
  std::atomic<int64_t> calls_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

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
  if (script.play_at) {
    script.play_at(address());
  } else {
    const std::unique_ptr<Peer> peer = ConnectPeer(address());
    ASSERT_NE(peer, nullptr);
    script.play(peer.get());
    good.AwaitMore();  // while the peer is still there
    switch (script.outcome.what) {
      case ClientScript::Outcome::kHungUp:
        peer->AwaitEnd();
        break;
      case ClientScript::Outcome::kAnswered:
        EXPECT_EQ(peer->AwaitResponse(kCall), script.outcome.code);
        [[fallthrough]];
      case ClientScript::Outcome::kServed: {
        const uint32_t last = CallId(0, 0xfff0);
        peer->Send(Request("Echo", PayloadBytes(100), last));
        EXPECT_EQ(peer->AwaitResponse(last), 0);
        break;
      }
      case ClientScript::Outcome::kNothing:
        break;
    }
  }
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

void PlayWith(RawSocket client, const ServerScript& script) {
  if (script.play_at) {
    script.play_at(&client);
    return;
  }
  const std::unique_ptr<Peer> peer = WelcomePeer(std::move(client));
  FrameHeader request;
  std::string payload;
  if (peer != nullptr && peer->Receive(&request, &payload)) script.play(peer.get(), request.call);
}

class HostileServer : public TransportTest, public ::testing::WithParamInterface<Play<ServerScript>> {
 protected:
  HostileServer() : TransportTest({.mechanism = MechanismNamed(GetParam().transport)}) {}

  static absl::Status Call(TestService::Stub* stub, ServerScript::Call call, void (*prepare)(ClientContext*)) {
    ClientContext context;
    if (prepare != nullptr) prepare(&context);
    Payload request, response;
    switch (call) {
      case ServerScript::kUnary:
        return stub->Echo(&context, request, &response);
      case ServerScript::kSeveral:
        for (int i = 0; i < 5; ++i) {
          if (absl::Status status = stub->Echo(request).status(); !status.ok()) return status;
        }
        return absl::OkStatus();
      case ServerScript::kLargeUnary:
        request.set_data(std::string(2'000'000, 'x'));
        return stub->Echo(&context, request, &response);
      case ServerScript::kStream: {
        const auto stream = stub->Down(&context, DownRequest());
        while (stream->Read(&response)) {
        }
        return stream->Finish();
      }
      case ServerScript::kUp: {
        const auto stream = stub->Up(&context, &response);
        stream->Write(request);
        return stream->Finish();
      }
    }
    return absl::UnknownError("no such call");
  }
};

TEST_P(HostileServer, FailsItsOwnCallsAlone) {
  const QuietProtobuf quiet;
  const ServerScript& script = GetParam().script;
  StartServer();
  GoodClient good(address());
  const Resources before = Resources::Of(getpid());
  {
    const RawServer hostile(AddressForServer(), [&](RawSocket client) { PlayWith(std::move(client), script); });
    ChannelOptions options;
    if (script.with != nullptr) script.with(&options);
    for (int i = 0; i < 2; ++i) {
      const auto stub = TestService::NewStub(CreateChannel(hostile.address(), options));
      const absl::Status status = Call(stub.get(), script.call, script.context);
      EXPECT_NE(std::find(script.outcomes.begin(), script.outcomes.end(), status.code()), script.outcomes.end())
          << status;
    }
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
