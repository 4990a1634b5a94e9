#include "runtime/stream/stream_wire.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "runtime/base/fd_passing.h"

namespace nearcall {
namespace {

// A Wire at one end of a socket pair; the other end is the test's.
struct OneSided {
  explicit OneSided(int buffer = 0) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    peer.reset(ends[1]);
    if (buffer != 0) setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    wire = std::make_unique<StreamWire>(Fd(ends[0]), "the peer");
  }
  void Write(const std::string& bytes) {
    ASSERT_EQ(send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // What there is.
  std::string Read(size_t most = 1 << 20) {
    std::string bytes(most, '\0');
    const ssize_t got = recv(peer.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return bytes;
  }
  // A look, and a second one, for the first may only have found out that there is nothing more.
  Received Receive(Frame* frame) {
    const Received received = wire->Receive(frame);
    return received == Received::kNothing ? wire->Receive(frame) : received;
  }

  Fd peer;
  std::unique_ptr<StreamWire> wire;
};

std::string PingOf(uint32_t size, uint8_t seed) {
  const FrameHeader header{size, static_cast<uint8_t>(FrameKind::kPing), 0, 0, 0, 0};
  std::string bytes(size, static_cast<char>(seed));
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

bool Send(StreamWire* wire, uint32_t size, uint8_t seed) {
  uint8_t* const room = wire->Claim(size);
  if (room == nullptr) return false;
  const std::string bytes = PingOf(size, seed);
  std::memcpy(room + 4, bytes.data() + 4, size - 4);
  wire->Commit(size);
  return true;
}

void ExpectFrame(OneSided* side, uint32_t size, uint8_t seed) {
  Frame frame{};
  ASSERT_EQ(side->Receive(&frame), Received::kFrame);
  ASSERT_EQ(frame.header.size, size);
  const uint8_t* const end = frame.payload + frame.payload_size();
  ASSERT_EQ(std::find_if(frame.payload, end, [&](uint8_t byte) { return byte != seed; }), end);
  side->wire->Release();
}

void ExpectNothing(OneSided* side) {
  Frame frame{};
  ASSERT_EQ(side->Receive(&frame), Received::kNothing);
}

void ExpectClosed(OneSided* side, absl::StatusCode code) {
  Frame frame{};
  ASSERT_EQ(side->Receive(&frame), Received::kClosed);
  EXPECT_EQ(side->wire->status().code(), code) << side->wire->status();
}

TEST(StreamWireTest, WritesFramesAsTheyAre) {
  OneSided side;
  std::string expected;
  for (uint32_t size : {16u, 17u, 1000u, 65536u}) {
    ASSERT_TRUE(Send(side.wire.get(), size, static_cast<uint8_t>(size)));
    expected += PingOf(size, static_cast<uint8_t>(size));
  }
  EXPECT_EQ(side.Read(), "");  // not before Flush
  EXPECT_TRUE(side.wire->Flush());
  EXPECT_EQ(side.Read(), expected);
  EXPECT_EQ(side.wire->sent_bytes(), expected.size());
  EXPECT_FALSE(side.wire->wants_write());
}

TEST(StreamWireTest, ReadsOneByteAtATime) {
  OneSided side;
  for (const uint32_t size : {16u, 17u, 24u, 300u}) {
    const std::string bytes = PingOf(size, 5);
    for (size_t i = 0; i < bytes.size(); ++i) {
      ExpectNothing(&side);
      side.Write(bytes.substr(i, 1));
    }
    ExpectFrame(&side, size, 5);
    ExpectNothing(&side);
  }
}

TEST(StreamWireTest, ReadsManyFramesAtOnce) {
  OneSided side;
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += PingOf(16 + static_cast<uint32_t>(i) % 100, static_cast<uint8_t>(i));
  side.Write(bytes);
  for (int i = 0; i < 1000; ++i) ExpectFrame(&side, 16 + static_cast<uint32_t>(i) % 100, static_cast<uint8_t>(i));
  ExpectNothing(&side);
}

// No descriptor tells of a frame that was read together with another one.
TEST(StreamWireTest, DoesNotSleepOnAFrameThatItHasReadAlready) {
  OneSided side;
  EXPECT_TRUE(side.wire->PrepareSleep());
  const std::string second = PingOf(100, 2);
  side.Write(PingOf(100, 1) + second.substr(0, 50));
  ExpectFrame(&side, 100, 1);
  EXPECT_TRUE(side.wire->PrepareSleep());  // the rest is still to come
  side.Write(second.substr(50) + PingOf(100, 3));
  ExpectFrame(&side, 100, 2);
  EXPECT_FALSE(side.wire->PrepareSleep());
  ExpectFrame(&side, 100, 3);
  EXPECT_TRUE(side.wire->PrepareSleep());
}

// Cut anywhere.
TEST(StreamWireTest, ReadsFramesInTwoParts) {
  const std::string bytes = PingOf(100, 1) + PingOf(16, 2) + PingOf(65536, 3);
  for (size_t cut = 0; cut < 200; ++cut) {
    OneSided side;
    side.Write(bytes.substr(0, cut));
    Frame frame{};
    int got = 0;
    while (side.Receive(&frame) == Received::kFrame) {
      ++got;
      side.wire->Release();
    }
    EXPECT_EQ(got, cut < 100 ? 0 : cut < 116 ? 1 : 2);
    side.Write(bytes.substr(cut));
    for (const auto& [size, seed] : std::vector<std::pair<uint32_t, uint8_t>>{{100, 1}, {16, 2}, {65536, 3}}) {
      if (got-- <= 0) ExpectFrame(&side, size, seed);
    }
    ExpectNothing(&side);
  }
}

// The socket takes a few bytes at a time.
TEST(StreamWireTest, WritesWhatFitsAndTheRestLater) {
  OneSided side(4096);
  const std::string one = PingOf(50'000, 1), two = PingOf(60'000, 2);
  ASSERT_TRUE(Send(side.wire.get(), 50'000, 1));
  EXPECT_FALSE(side.wire->Flush());
  EXPECT_TRUE(side.wire->wants_write());
  ASSERT_TRUE(Send(side.wire.get(), 60'000, 2));
  EXPECT_FALSE(Send(side.wire.get(), 60'000, 3)) << "more than may wait";
  std::string got;
  while (got.size() < one.size() + two.size()) {
    side.wire->Flush();
    got += side.Read(777);
  }
  EXPECT_TRUE(side.wire->Flush());
  EXPECT_FALSE(side.wire->wants_write());
  EXPECT_TRUE(got == one + two);
  EXPECT_TRUE(Send(side.wire.get(), 60'000, 3));
}

TEST(StreamWireTest, ThatIsEmptyTakesAnyFrame) {
  OneSided side(4096);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Send(side.wire.get(), kMaxFrameSize, 1));
    while (!side.wire->Flush()) side.Read();
    side.Read();
  }
}

TEST(StreamWireTest, WantsToBeWatchedForRoom) {
  OneSided side;
  EXPECT_FALSE(side.wire->wants_write());
  side.wire->WantRoom(true);
  EXPECT_TRUE(side.wire->wants_write());
  side.wire->WantRoom(false);
  EXPECT_FALSE(side.wire->wants_write());
}

TEST(StreamWireTest, BadHeadersCloseTheConnection) {
  const std::string good = PingOf(24, 1);
  int closed = 0;
  for (size_t bit = 0; bit < kHeaderSize * 8; ++bit) {
    OneSided side;
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << (bit % 8)));
    const bool sane = ValidateHeader(LoadHeader(bytes.data()), kMaxFrameSize) == FrameError::kNone;
    side.Write(bytes);
    Frame frame{};
    const Received received = side.Receive(&frame);
    if (!sane) {
      ++closed;
      EXPECT_EQ(received, Received::kClosed) << bit;
      EXPECT_EQ(side.wire->status().code(), absl::StatusCode::kInternal);
    } else {
      EXPECT_NE(received, Received::kClosed) << bit;
    }
  }
  EXPECT_GT(closed, 50);
}

TEST(StreamWireTest, AnAnnouncedGiantCostsNothing) {
  OneSided side;
  side.Write(std::string("\xff\xff\xff\xff\x0a", 5) + std::string(11, '\0'));
  ExpectClosed(&side, absl::StatusCode::kInternal);
}

TEST(StreamWireTest, DeliversWhatCameBeforeTheEnd) {
  OneSided side;
  side.Write(PingOf(20, 1) + PingOf(30, 2) + PingOf(40, 3).substr(0, 39));
  side.peer.reset();
  ExpectFrame(&side, 20, 1);
  ExpectFrame(&side, 30, 2);
  ExpectClosed(&side, absl::StatusCode::kUnavailable);
  ExpectClosed(&side, absl::StatusCode::kUnavailable);
}

TEST(StreamWireTest, WritingToAPeerThatIsGoneIsNoNews) {
  OneSided side;
  side.peer.reset();
  ASSERT_TRUE(Send(side.wire.get(), 100, 1));
  EXPECT_TRUE(side.wire->Flush());  // no SIGPIPE; the receiving side tells
  ASSERT_TRUE(Send(side.wire.get(), 100, 1));
  EXPECT_TRUE(side.wire->Flush());
  ExpectClosed(&side, absl::StatusCode::kUnavailable);
}

TEST(StreamWireTest, ShutdownIsHeardOnBothSides) {
  OneSided side;
  side.wire->Shutdown();
  ExpectClosed(&side, absl::StatusCode::kUnavailable);
  char byte;
  EXPECT_EQ(recv(side.peer.get(), &byte, 1, 0), 0);
}

std::string FrameWithFd() {
  const FrameHeader header{16, static_cast<uint8_t>(FrameKind::kAttachment), frame_flags::kDescriptor, 2, 0x10000, 0};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header);
}

TEST(StreamWireTest, AsksBeforeTheFirstDescriptorGoes) {
  OneSided side;
  StreamWire* const wire = side.wire.get();
  EXPECT_FALSE(wire->OnFdPassing(FdPassing::kExpected)) << "it has not asked";
  EXPECT_FALSE(wire->ReadyForFd());
  EXPECT_TRUE(wire->Flush());
  const std::string question = side.Read();
  const FrameHeader asked{16, static_cast<uint8_t>(FrameKind::kFdPassing), 0, 0, 0, 0};
  EXPECT_EQ(question, std::string(reinterpret_cast<const char*>(&asked), sizeof asked));
  wire->WantRoom(true);
  EXPECT_FALSE(wire->wants_write()) << "the socket has room all the time: a poller would not sleep";
  EXPECT_FALSE(wire->ReadyForFd());
  EXPECT_TRUE(wire->Flush());
  EXPECT_EQ(side.Read(), "") << "it asks once";

  EXPECT_TRUE(wire->OnFdPassing(FdPassing::kExpected));
  EXPECT_FALSE(wire->OnFdPassing(FdPassing::kExpected)) << "one answer is enough";
  EXPECT_TRUE(wire->wants_write());
  ASSERT_TRUE(wire->ReadyForFd());
  wire->AttachFd(internal::SharedFd(dup(side.peer.get())));
  ASSERT_TRUE(Send(wire, 16, 0));
  EXPECT_TRUE(wire->Flush());
  std::vector<Fd> fds;
  bool truncated = false;
  char bytes[64];
  EXPECT_EQ(ReceiveBytesAndFds(side.peer.get(), bytes, sizeof bytes, 1, &fds, &truncated), 16);
  EXPECT_EQ(fds.size(), 1u);
}

TEST(StreamWireTest, TakesDescriptorsOnceItWasAsked) {
  OneSided side;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const std::string bytes = FrameWithFd();
  Frame frame{};
  ASSERT_EQ(SendBytesAndFds(side.peer.get(), bytes.data(), bytes.size(), &ends[1], 1), 16);
  ASSERT_EQ(side.Receive(&frame), Received::kFrame);
  EXPECT_FALSE(side.wire->TakeFd().fd.valid()) << "it was not asked";
  side.wire->Release();

  EXPECT_TRUE(side.wire->OnFdPassing(FdPassing::kWanted));
  EXPECT_FALSE(side.wire->OnFdPassing(FdPassing::kWanted)) << "once is enough";
  ASSERT_EQ(SendBytesAndFds(side.peer.get(), bytes.data(), bytes.size(), &ends[1], 1), 16);
  ASSERT_EQ(side.Receive(&frame), Received::kFrame);
  ReceivedFd taken = side.wire->TakeFd();
  EXPECT_TRUE(taken.fd.valid());
  EXPECT_FALSE(taken.lost);
  side.wire->Release();

  write_end.reset();
  char byte;
  EXPECT_EQ(read(read_end.get(), &byte, 1), -1) << "the one that was taken is open";
  taken.fd.reset();
  EXPECT_EQ(read(read_end.get(), &byte, 1), 0) << "the one that nobody expected is closed";
}

// A sender that is held back again and again by a small buffer, a reader that reads in odd pieces.
TEST(StreamWireTest, LosesNothingBetweenTwoThreads) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
  const int buffer = 4096;
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
  StreamWire one(Fd(ends[0]), "the reader"), two(Fd(ends[1]), "the writer");
  constexpr int kCount = 20'000;
  std::thread writer([&] {
    std::mt19937 random(1);
    for (int i = 0; i < kCount; ++i) {
      const auto size = static_cast<uint32_t>(16 + random() % (i % 50 == 0 ? 60'000 : 300));
      const auto await_room = [&] {
        pollfd fd{ends[0], POLLOUT, 0};
        poll(&fd, 1, -1);
      };
      for (; !Send(&one, size, static_cast<uint8_t>(i)); one.Flush()) await_room();
      one.Flush();
    }
    while (!one.Flush()) {
      pollfd fd{ends[0], POLLOUT, 0};
      poll(&fd, 1, -1);
    }
  });
  std::mt19937 random(1);
  for (int i = 0; i < kCount;) {
    Frame frame{};
    if (two.Receive(&frame) != Received::kFrame) {
      pollfd fd{ends[1], POLLIN, 0};
      poll(&fd, 1, -1);
      continue;
    }
    ASSERT_EQ(frame.header.size, 16 + random() % (i % 50 == 0 ? 60'000 : 300)) << i;
    const uint8_t* const end = frame.payload + frame.payload_size();
    ASSERT_EQ(std::find_if(frame.payload, end, [&](uint8_t b) { return b != static_cast<uint8_t>(i); }), end) << i;
    two.Release();
    ++i;
  }
  writer.join();
}

}  // namespace
}  // namespace nearcall
