// Peers that do not speak the protocol, or do not mean well. Whatever they send, they lose their connection and nobody
// else notices.

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "protos/nearcall/protocol.pb.h"
#include "runtime/stream/handshake.h"
#include "runtime/wire/frame.h"
#include "tests/conformance/conformance.h"
#include "tests/conformance/raw_socket.h"

namespace nearcall::testing {
namespace {

std::string Header(uint32_t size, uint8_t kind, uint8_t flags, uint16_t detail, uint32_t call, uint32_t extra) {
  const FrameHeader header{size, kind, flags, detail, call, extra};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header);
}

std::string Hello(std::vector<protocol::Carrier> carriers) {
  protocol::Hello hello;
  hello.set_min_version(kProtocolVersion);
  hello.set_max_version(kProtocolVersion);
  for (const protocol::Carrier carrier : carriers) hello.add_carriers(carrier);
  return HandshakeFrame(static_cast<uint8_t>(FrameKind::kHello), hello);
}

class BadInput {
 public:
  explicit BadInput(std::string address) : address_(std::move(address)) {}

  // Connects, sends, and expects that the server hangs up by itself.
  void ExpectHangUp(const std::string& bytes, const std::string& what) {
    RawSocket socket = RawSocket::ConnectTo(address_);
    socket.Send(bytes);
    socket.AwaitEnd();
    SUCCEED() << what;
  }
  // Connects, sends, hangs up; expects that the server does so, too.
  void SendAndLeave(const std::string& bytes) {
    RawSocket socket = RawSocket::ConnectTo(address_);
    socket.Send(bytes);
    socket.DoneSending();
    socket.AwaitEnd();
  }
  RawSocket ShakeHands() {
    RawSocket socket = RawSocket::ConnectTo(address_);
    socket.Send(Hello({protocol::SOCKET}));
    EXPECT_TRUE(socket.ReceiveFrame(FrameKind::kWelcome));
    return socket;
  }

 private:
  const std::string address_;
};

TEST_P(Conformance, StrangersAreHungUpOn) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot connect to this transport";
  StartServer();
  const Stub stub = Connect();
  ExpectServes(stub.get());
  BadInput bad(address());
  bad.ExpectHangUp("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1");
  bad.ExpectHangUp("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2");
  bad.ExpectHangUp(std::string(64, '\0'), "zeros");
  bad.ExpectHangUp(std::string(64, '\xff'), "ones");
  bad.ExpectHangUp(std::string(1'000'000, 'x'), "much");
  bad.ExpectHangUp(Header(0xffffffff, 1, 0, 0, 0, kMagic), "a huge HELLO");
  bad.ExpectHangUp(Header(kMaxHandshakeFrameSize + 1, 1, 0, 0, 0, kMagic), "a HELLO too large");
  bad.ExpectHangUp(Header(15, 1, 0, 0, 0, kMagic), "a HELLO too small");
  bad.ExpectHangUp(Header(16, 1, 0, 0, 0, kMagic), "an empty HELLO");
  bad.ExpectHangUp(Header(20, 1, 0, 0, 0, kMagic + 1) + "abcd", "a wrong magic");
  bad.ExpectHangUp(Header(20, 1, 1, 0, 0, kMagic) + "abcd", "a flag");
  bad.ExpectHangUp(Header(20, 1, 0, 0, 1, kMagic) + "abcd", "a call");
  bad.ExpectHangUp(Header(20, 2, 0, 0, 0, kMagic) + "abcd", "a WELCOME");
  bad.ExpectHangUp(Header(20, 3, 0, 0, 1, 0) + "abcd", "a REQUEST first");
  bad.ExpectHangUp(Header(20, 1, 0, 0, 0, kMagic) + "\xff\xff\xff\xff", "a HELLO that cannot be parsed");
  bad.ExpectHangUp(Hello({}), "a HELLO that asks for nothing");
  bad.ExpectHangUp(Hello({static_cast<protocol::Carrier>(77)}), "a HELLO that asks for the unknown");
  bad.ExpectHangUp(Hello({protocol::RING}), "a HELLO for the ring, without descriptors");
  ExpectServes(stub.get());
  ExpectServes(Connect().get());
}

TEST_P(Conformance, RandomBytesAreHungUpOn) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot connect to this transport";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    std::string bytes(random() % 5000, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    bad.SendAndLeave(bytes);
  }
  ExpectServes(stub.get());
}

// At every byte.
TEST_P(Conformance, TruncatedHellosAreForgotten) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot connect to this transport";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  const std::string hello = Hello({protocol::SOCKET});
  for (size_t size = 0; size <= hello.size(); ++size) bad.SendAndLeave(hello.substr(0, size));
  ExpectServes(stub.get());
}

TEST_P(Conformance, MutatedHellosHarmNobody) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot connect to this transport";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  const std::string hello = Hello({protocol::SOCKET, protocol::RING});
  for (size_t bit = 0; bit < hello.size() * 8; ++bit) {
    std::string bytes = hello;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    bad.SendAndLeave(bytes);
  }
  ExpectServes(stub.get());
}

// Clients that connect and say nothing, or half of it, hold up nobody; there may be more of them than the server keeps.
TEST_P(Conformance, SilentClientsHoldUpNobody) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot connect to this transport";
  StartServer();
  std::vector<RawSocket> silent;
  const std::string hello = Hello({protocol::SOCKET});
  for (int i = 0; i < 100; ++i) {
    silent.push_back(RawSocket::ConnectTo(address()));
    silent.back().Send(hello.substr(0, static_cast<size_t>(i) % hello.size()));
  }
  for (int i = 0; i < 10; ++i) ExpectServes(Connect().get());
}

// Frames after a good handshake, over the socket.
TEST_P(Conformance, BadFramesAreHungUpOn) {
  if (!mechanism().socket || mechanism().scheme == "shm") GTEST_SKIP() << "frames do not travel over a socket";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  const std::vector<std::string> frames = {
      Header(0, 3, 0, 0, 1, 0),  // smaller than a header
      Header(15, 3, 0, 0, 1, 0),
      Header(kMaxFrameSize + 1, 3, 0, 0, 1, 0),  // larger than any frame
      Header(0xffffffff, 4, 0, 0, 1, 0),
      Header(16, 0, 0, 0, 0, 0),  // no kind, unknown kinds
      Header(16, 16, 0, 0, 0, 0),
      Header(16, 255, 0, 0, 1, 0),
      Hello({protocol::SOCKET}),       // the second one
      Header(16, 2, 0, 0, 0, kMagic),  // what only servers send
      Header(16, 5, 0, 0, 0x10001, 0),
      Header(16, 6, 0, 0, 0x10001, 0),
      Header(16, 9, 0, 0, 0, 0),
      Header(16, 3, 0, 5, 0x10001, 0),  // a method that was never named
      Header(16, 3, 0, 4095, 0x10001, 0),
      Header(16, 3, 0, 4096, 0x10001, 0),
      Header(16, 3, 0, 0, 0x10000 + 60'000, 0),                // a slot beyond the limit
      Header(20, 3, 0, 1, 0x10001, 4) + "\xff\xff\xff\xff",    // a head that cannot be parsed
      Header(20, 3, 0, 1, 0x10001, 5) + "abcd",                // a head larger than the payload
      Header(16, 3, frame_flags::kHasTimeout, 1, 0x10001, 0),  // a time-out that is not there
      Header(16, 3, 0x80, 1, 0x10001, 0),
      Header(17, 7, 0, 0, 1, 0) + "x",  // a CANCEL with a payload
      Header(16, 10, 0, 0, 1, 0),       // a PING of a call
  };
  for (const std::string& frame : frames) {
    RawSocket socket = bad.ShakeHands();
    socket.Send(frame);
    socket.AwaitEnd();
  }
  ExpectServes(stub.get());
}

// A well-formed call up to some point, then nonsense within it.
TEST_P(Conformance, BadCallsAreHungUpOn) {
  if (!mechanism().socket || mechanism().scheme == "shm") GTEST_SKIP() << "frames do not travel over a socket";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  protocol::RequestHead head;
  head.set_method("/nearcall.testing.TestService/Up");
  const std::string bytes = head.SerializeAsString();
  const auto size = static_cast<uint32_t>(bytes.size());
  const std::string request = Header(16 + size, 3, frame_flags::kStream, 1, 0x10001, size) + bytes;
  const std::vector<std::string> nonsense = {
      request,                                                                            // the same call again
      Header(16, 4, 0, 0, 0x10001, 100),                                                  // an empty fragment
      Header(17, 4, 0, 0, 0x10001, 100) + "a" + Header(17, 4, 0, 0, 0x10001, 100) + "b",  // that do not fit together
      Header(17, 4, 0, 0, 0x10001, 100) + "a" + Header(16, 4, 12, 0, 0x10001, 0),         // an end in the middle
  };
  for (const std::string& frames : nonsense) {
    RawSocket socket = bad.ShakeHands();
    socket.Send(request + frames);
    socket.AwaitEnd();
  }
  // A handler that takes one message and goes on in its own time, so that its call is still open for what follows.
  head.set_method("/nearcall.testing.TestService/BlockUp");
  const std::string block = head.SerializeAsString();
  const auto block_size = static_cast<uint32_t>(block.size());
  const std::string empty = Header(16, 4, 0, 0, 0x10002, 0);
  const std::string blocked = Header(16 + block_size, 3, frame_flags::kStream, 2, 0x10002, block_size) + block + empty;
  {
    // More after the end.
    RawSocket socket = bad.ShakeHands();
    socket.Send(blocked + Header(16, 4, 12, 0, 0x10002, 0) + empty);
    socket.AwaitEnd();
  }
  {
    // More than was granted.
    RawSocket socket = bad.ShakeHands();
    std::string flood = request + blocked;
    for (int i = 0; i < 5000; ++i) flood += empty;
    socket.Send(flood);
    socket.AwaitEnd();
  }
  {
    // Credit beyond reason.
    RawSocket socket = bad.ShakeHands();
    std::string flood = request;
    for (int i = 0; i < 1000; ++i) flood += Header(16, 8, 0, 0, 0x10001, 0xffffffff);
    socket.Send(flood);
    socket.AwaitEnd();
  }
  ExpectServes(stub.get());
}

// A client that leaves its deadline to the server: the handler's wait ends in time, and what it makes of it is no
// success.
TEST_P(Conformance, AHandlerThatWaitedInVainHasNotSucceeded) {
  if (!mechanism().socket || mechanism().scheme == "shm") GTEST_SKIP() << "frames do not travel over a socket";
  StartServer();
  RawSocket socket = BadInput(address()).ShakeHands();
  protocol::RequestHead head;
  head.set_method("/nearcall.testing.TestService/Up");
  const std::string bytes = head.SerializeAsString();
  const int64_t timeout_ns = 1'000'000;
  const std::string timeout(reinterpret_cast<const char*>(&timeout_ns), sizeof timeout_ns);
  const auto size = static_cast<uint32_t>(bytes.size());
  socket.Send(Header(16 + 8 + size, 3, frame_flags::kStream | frame_flags::kHasTimeout, 1, 0x10001, size) + timeout +
              bytes);
  uint16_t code = 0;
  ASSERT_TRUE(socket.ReceiveFrame(FrameKind::kResponse, &code));
  EXPECT_EQ(static_cast<absl::StatusCode>(code), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(Conformance, WildFramesHarmNobody) {
  if (!mechanism().socket || mechanism().scheme == "shm") GTEST_SKIP() << "frames do not travel over a socket";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  std::mt19937 random(2);
  const auto pick = [&](const std::vector<uint32_t>& values) { return values[random() % values.size()]; };
  protocol::RequestHead head;
  head.set_method("/nearcall.testing.TestService/Chat");
  const std::string chat = head.SerializeAsString();
  for (int connection = 0; connection < 150; ++connection) {
    RawSocket socket = bad.ShakeHands();
    std::string bytes;
    for (int frame = 0; frame < 5; ++frame) {
      if (frame == 0 && connection % 2 == 0) {
        const auto size = static_cast<uint32_t>(chat.size());
        bytes += Header(16 + size, 3, frame_flags::kStream, 1, 0x10001, size) + chat;
      }
      const uint32_t payload = pick({0, 0, 1, 8, 24, 100, 1000});
      bytes +=
          Header(pick({16 + payload, 16 + payload, 16 + payload, 0, 15, 65536}), static_cast<uint8_t>(random() % 13),
                 static_cast<uint8_t>(pick({0, 1, 2, 4, 8, 12, 16, 32, 33, 63, 255})),
                 static_cast<uint16_t>(pick({0, 1, 2, 16, 17, 4095, 4096, 65535})),
                 pick({0, 1, 0x10001, 0x10001, 0x10001, 0x20001, 0xffffffff}),
                 pick({0, 0, payload, payload + 1, 8192, 8193, 1u << 31, 0xffffffff}));
      for (uint32_t i = 0; i < payload; ++i) bytes += static_cast<char>(random());
    }
    socket.Send(bytes);
    socket.DoneSending();
    socket.AwaitEnd();
  }
  ExpectServes(stub.get());
  ExpectServes(Connect().get());
}

// Bytes on the socket of a connection whose frames travel elsewhere end it.
TEST_P(Conformance, StrayBytesInARefusedHandshakeHarmNobody) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot connect to this transport";
  StartServer();
  const Stub stub = Connect();
  BadInput bad(address());
  for (int i = 0; i < 20; ++i) bad.ExpectHangUp(Hello({protocol::RING}) + std::string(100, 'x'), "stray bytes");
  ExpectServes(stub.get());
}

// --- Servers that are none
// ----------------------------------------------------------------------------------------------

// What a server says that takes a client in, over the socket.
protocol::Welcome GoodWelcome() {
  protocol::Welcome welcome;
  welcome.set_version(kProtocolVersion);
  welcome.set_carrier(protocol::SOCKET);
  welcome.set_max_calls(10);
  return welcome;
}
std::string FrameOf(const protocol::Welcome& welcome) {
  return HandshakeFrame(static_cast<uint8_t>(FrameKind::kWelcome), welcome);
}

// A server that sends `answer` to each client, and then hangs up, or waits until the client has.
std::function<void(RawSocket)> Answer(std::string answer, bool hangs_up) {
  return [answer = std::move(answer), hangs_up](RawSocket client) {
    if (!hangs_up || !answer.empty()) client.ReceiveFrame(FrameKind::kHello);
    client.Send(answer);
    if (!hangs_up) client.AwaitEnd();
  };
}

TEST_P(Conformance, AServerThatIsNoneFailsTheCall) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot take this transport's address";
  protocol::Welcome welcome;
  welcome.set_code(7);
  welcome.set_message("go away");
  const std::string refusal = FrameOf(welcome);
  welcome = GoodWelcome();
  const std::string good = FrameOf(welcome);
  welcome.set_version(99);
  const std::string wrong_version = FrameOf(welcome);
  welcome.set_version(kProtocolVersion);
  welcome.set_carrier(static_cast<protocol::Carrier>(9));
  const std::string wrong_carrier = FrameOf(welcome);
  welcome.set_carrier(protocol::RING);
  const std::string no_ring = FrameOf(welcome);
  welcome.set_carrier(protocol::SOCKET);
  welcome.set_max_calls(0);
  const std::string no_calls = FrameOf(welcome);
  struct Case {
    std::string answer;
    bool hangs_up;
    int code;  // -1: any but OK
  };
  const std::vector<Case> cases = {
      {"", true, static_cast<int>(absl::StatusCode::kUnavailable)},
      {refusal, false, 7},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", false, static_cast<int>(absl::StatusCode::kInternal)},
      {std::string(100, '\0'), false, static_cast<int>(absl::StatusCode::kInternal)},
      {wrong_version, false, static_cast<int>(absl::StatusCode::kInternal)},
      {wrong_carrier, false, static_cast<int>(absl::StatusCode::kInternal)},
      {no_calls, false, static_cast<int>(absl::StatusCode::kInternal)},
      {no_ring, false, -1},
      {good, true, -1},
      {good + std::string(100, '\xff'), false, -1},
      {good + Header(16, 3, 0, 0, 1, 0), false, -1},
      {good.substr(0, 10), true, static_cast<int>(absl::StatusCode::kUnavailable)}};
  for (size_t i = 0; i < cases.size(); ++i) {
    const RawServer fake(AddressForServer(), Answer(cases[i].answer, cases[i].hangs_up));
    const Stub stub = StubOn(CreateChannel(fake.address()));
    for (int call = 0; call < 2; ++call) {
      const absl::Status status = stub->Echo(PayloadOf(10)).status();
      EXPECT_FALSE(status.ok()) << "case " << i;
      if (cases[i].code >= 0) {
        EXPECT_EQ(static_cast<int>(status.code()), cases[i].code) << "case " << i << ": " << status;
      }
    }
  }
}

TEST_P(Conformance, AServerThatNeverAnswersTheHandshakeFailsTheCall) {
  if (!mechanism().socket) GTEST_SKIP() << "strangers cannot take this transport's address";
  const RawServer fake(AddressForServer(), Answer("", false));
  ChannelOptions options;
  options.connect_timeout = absl::Milliseconds(50);
  const Stub stub = StubOn(CreateChannel(fake.address(), options));
  EXPECT_EQ(stub->Echo(Payload()).status().code(), absl::StatusCode::kUnavailable);
  const Stub patient = StubOn(CreateChannel(fake.address()));
  ClientContext context;
  context.set_timeout(absl::Milliseconds(50));
  Payload response;
  EXPECT_EQ(patient->Echo(&context, Payload(), &response).code(), absl::StatusCode::kDeadlineExceeded);
}

// One that says nothing more once it has shaken hands is never heard to expect descriptors.
TEST_P(Conformance, ADescriptorForAServerThatNeverExpectsItFailsTheCall) {
  if (!mechanism().socket || !mechanism().passes_fds || mechanism().scheme == "shm") {
    GTEST_SKIP() << "no socket carries both frames and descriptors here";
  }
  std::atomic<bool> asked{false};
  const RawServer fake(AddressForServer(), [&](RawSocket client) {
    client.ReceiveFrame(FrameKind::kHello);
    client.Send(FrameOf(GoodWelcome()));
    asked = client.ReceiveFrame(FrameKind::kFdPassing);
    client.AwaitEnd();
  });
  const Stub stub = StubOn(CreateChannel(fake.address()));
  AttachReply reply;
  ClientContext cancelled;
  cancelled.AttachFd(STDIN_FILENO);
  std::thread canceller([&] {
    Await([&] { return asked.load(); });
    cancelled.TryCancel();
  });
  EXPECT_EQ(stub->Attach(&cancelled, AttachRequest(), &reply).code(), absl::StatusCode::kCancelled);
  canceller.join();
  for (int call = 0; call < 2; ++call) {
    ClientContext context;
    context.set_timeout(absl::Milliseconds(50));
    context.AttachFd(STDIN_FILENO);
    EXPECT_EQ(stub->Attach(&context, AttachRequest(), &reply).code(), absl::StatusCode::kDeadlineExceeded);
  }
}

}  // namespace
}  // namespace nearcall::testing
