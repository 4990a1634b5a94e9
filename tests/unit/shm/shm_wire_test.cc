// The ring, one step at a time, and with a peer that writes what it likes into its own memory.

#include "runtime/transports/shm/shm_wire.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace nearcall {
namespace {

constexpr size_t kRing = Segment::kMinRing;

// One side's parts, before they are put together.
struct Side {
  Segment segment = *Segment::Create(kRing);
  Doorbell doorbell = *Doorbell::Create();
  Segment SegmentForPeer() const { return *Segment::Open(Fd(dup(segment.fd()))); }
  Ringer RingerForPeer() const { return *Ringer::Open(Fd(dup(doorbell.ringer_fd()))); }
};

std::unique_ptr<ShmWire> Assemble(Side own, Segment peer, Ringer ringer, int socket) {
  return std::make_unique<ShmWire>(ShmWire::Parts{Fd(socket), std::move(own.segment), std::move(peer),
                                                  std::move(own.doorbell), std::move(ringer), true, "the peer"});
}

// A Wire whose peer is the test itself, with its hands on the peer's memory.
class HostilePeer : public testing::Test {
 protected:
  HostilePeer() {
    int sockets[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    socket_ = Fd(sockets[1]);
    Side own;
    ours_ = std::make_unique<Segment>(own.SegmentForPeer());
    wire_ = Assemble(std::move(own), theirs_.SegmentForPeer(), theirs_.RingerForPeer(), sockets[0]);
  }

  std::atomic<uint32_t>& Word(size_t at) {
    return *reinterpret_cast<std::atomic<uint32_t>*>(theirs_.segment.ring() + at);
  }
  // Puts a frame into the peer's ring the way an honest peer does.
  void Put(size_t at, FrameHeader header) {
    std::memcpy(theirs_.segment.ring() + at + 4, reinterpret_cast<const char*>(&header) + 4, sizeof header - 4);
    Word(at).store(header.size);
  }
  static FrameHeader Ping(uint32_t size) {
    FrameHeader header{};
    header.size = size;
    header.kind = static_cast<uint8_t>(FrameKind::kPing);
    return header;
  }
  bool SendOne(size_t size) {
    uint8_t* const room = wire_->Claim(size);
    if (room == nullptr) return false;
    std::memset(room + 4, 0, size - 4);
    room[4] = static_cast<uint8_t>(FrameKind::kPing);
    wire_->Commit(size);
    return true;
  }

  Side theirs_;
  std::unique_ptr<Segment> ours_;  // as the peer sees it
  Fd socket_;
  std::unique_ptr<ShmWire> wire_;
  Frame frame_;
};

TEST_F(HostilePeer, AnHonestFrameArrives) {
  Put(0, Ping(24));
  ASSERT_EQ(wire_->Receive(&frame_), Received::kFrame);
  EXPECT_EQ(frame_.payload_size(), 8u);
  wire_->Release();
  EXPECT_EQ(ours_->control()->read_position.load(), 24u);
  EXPECT_EQ(wire_->Receive(&frame_), Received::kNothing);
}

TEST_F(HostilePeer, SizesOutOfRangeEndTheConnection) {
  for (const uint32_t size : {1u, 4u, 15u, uint32_t{kRing / 2}, uint32_t{kRing}, 0x7fffffffu, 0xffffffffu}) {
    Side own;
    int sockets[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    const Fd other(sockets[1]);
    const std::unique_ptr<ShmWire> wire =
        Assemble(std::move(own), theirs_.SegmentForPeer(), theirs_.RingerForPeer(), sockets[0]);
    Put(0, Ping(size));
    EXPECT_EQ(wire->Receive(&frame_), Received::kClosed) << size;
    EXPECT_EQ(wire->status().code(), absl::StatusCode::kInternal) << size;
    EXPECT_EQ(wire->Receive(&frame_), Received::kClosed) << size;  // for good
  }
}

TEST_F(HostilePeer, AHeaderThatChangesAfterTheLookDoesNotMatter) {
  Put(0, Ping(24));
  ASSERT_EQ(wire_->Receive(&frame_), Received::kFrame);
  Put(0, Ping(0xffffffff));
  EXPECT_EQ(frame_.header.size, 24u);
  wire_->Release();
  EXPECT_EQ(ours_->control()->read_position.load(), 24u);
}

TEST_F(HostilePeer, AReadPositionAheadOfTheWriterEndsTheConnection) {
  theirs_.segment.control()->read_position.store(UINT64_MAX);
  while (SendOne(1024)) {
  }
  EXPECT_EQ(wire_->Receive(&frame_), Received::kClosed);
  EXPECT_EQ(wire_->status().code(), absl::StatusCode::kInternal);
}

TEST_F(HostilePeer, AReadPositionThatGoesBackEndsTheConnection) {
  while (SendOne(1024)) {
  }
  theirs_.segment.control()->read_position.store(8 * 1024);
  ASSERT_TRUE(SendOne(1024));
  while (SendOne(1024)) {
  }
  EXPECT_EQ(wire_->Receive(&frame_), Received::kNothing);  // a full ring is no violation
  theirs_.segment.control()->read_position.store(1024);
  EXPECT_FALSE(SendOne(1024));
  EXPECT_EQ(wire_->Receive(&frame_), Received::kClosed);
}

TEST_F(HostilePeer, NoFrameEverReachesBeyondTheRing) {
  // The writer fills the ring to the last frame that fits, whatever the sizes, and never writes over what is unread.
  uint64_t read = 0;
  for (int round = 0; round < 2000; ++round) {
    const size_t size = 16 + static_cast<size_t>(round * 37 % 1500);
    while (SendOne(size)) {
      ASSERT_LE(wire_->sent_bytes() - read, kRing);
    }
    read = wire_->sent_bytes();
    theirs_.segment.control()->read_position.store(read);
  }
}

TEST_F(HostilePeer, ItsEndIsNoticedAfterItsLastFrame) {
  Put(0, Ping(24));
  socket_.reset();
  ASSERT_FALSE(wire_->PrepareSleep());
  wire_->FinishSleep(1u << 1);
  ASSERT_EQ(wire_->Receive(&frame_), Received::kFrame);
  wire_->Release();
  EXPECT_EQ(wire_->Receive(&frame_), Received::kClosed);
  EXPECT_TRUE(absl::IsUnavailable(wire_->status()));
}

TEST_F(HostilePeer, BytesOnTheSocketEndTheConnection) {
  ASSERT_EQ(write(socket_.get(), "x", 1), 1);
  ASSERT_TRUE(wire_->PrepareSleep());
  wire_->FinishSleep(1u << 1);
  EXPECT_EQ(wire_->Receive(&frame_), Received::kClosed);
}

TEST_F(HostilePeer, WhatWasReadIsKnownAfterItsDeath) {
  ASSERT_TRUE(SendOne(24));
  const uint64_t first = wire_->sent_bytes();
  ASSERT_TRUE(SendOne(24));
  const uint64_t second = wire_->sent_bytes();
  theirs_.segment.control()->read_position.store(first);
  socket_.reset();
  EXPECT_TRUE(wire_->PeerHasRead(first));
  EXPECT_FALSE(wire_->PeerHasRead(second));
}

TEST_F(HostilePeer, OneRingForOneSleep) {
  char rings[64];
  ASSERT_TRUE(SendOne(24));
  wire_->Flush();
  EXPECT_LT(read(theirs_.doorbell.fd(), rings, sizeof rings), 0);  // it is awake
  theirs_.segment.control()->sleep_epoch.store(1);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(SendOne(24));
    wire_->Flush();
  }
  EXPECT_EQ(read(theirs_.doorbell.fd(), rings, sizeof rings), 1);
  theirs_.segment.control()->sleep_epoch.store(3);
  ASSERT_TRUE(SendOne(24));
  wire_->Flush();
  EXPECT_EQ(read(theirs_.doorbell.fd(), rings, sizeof rings), 1);
}

// Two honest ends, a thread each: every frame arrives once, in order, whole, though both sides sleep again and again.
TEST(ShmWireTest, AStreamOfFramesBetweenThreads) {
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
  Side a, b;
  Segment a_for_b = a.SegmentForPeer(), b_for_a = b.SegmentForPeer();
  Ringer a_ringer = a.RingerForPeer(), b_ringer = b.RingerForPeer();
  const auto sender = Assemble(std::move(a), std::move(b_for_a), std::move(b_ringer), sockets[0]);
  const auto receiver = Assemble(std::move(b), std::move(a_for_b), std::move(a_ringer), sockets[1]);
  constexpr uint32_t kFrames = 200'000;

  const auto sleep = [](ShmWire* wire) {
    if (wire->PrepareSleep()) {
      WatchedFd fds[kMaxWatchedFds];
      wire->watched_fds(fds);
      char byte;
      // A blocking look at the doorbell stands for epoll.
      while (read(fds[0].fd, &byte, 1) < 0) std::this_thread::yield();
    }
    wire->FinishSleep(0);
  };
  std::thread writer([&] {
    for (uint32_t i = 1; i <= kFrames; ++i) {
      const size_t size = 24 + i % 997;
      uint8_t* room;
      while ((room = sender->Claim(size)) == nullptr) {
        sender->WantRoom(true);
        if ((room = sender->Claim(size)) != nullptr) break;
        sleep(sender.get());
      }
      sender->WantRoom(false);
      FrameHeader header = {0, static_cast<uint8_t>(FrameKind::kMessage), 0, 0, i, 0};
      std::memcpy(room + 4, reinterpret_cast<char*>(&header) + 4, sizeof header - 4);
      std::memset(room + kHeaderSize, static_cast<int>(i & 0xff), size - kHeaderSize);
      sender->Commit(size);
      sender->Flush();
    }
  });
  uint32_t expected = 1;
  while (expected <= kFrames) {
    Frame frame;
    switch (receiver->Receive(&frame)) {
      case Received::kNothing:
        sleep(receiver.get());
        break;
      case Received::kClosed:
        FAIL() << receiver->status();
      case Received::kFrame: {
        ASSERT_EQ(frame.header.call, expected);
        ASSERT_EQ(frame.header.size, 24 + expected % 997);
        ASSERT_EQ(frame.payload[0], expected & 0xff);
        ASSERT_EQ(frame.payload[frame.payload_size() - 1], expected & 0xff);
        receiver->Release();
        ++expected;
      }
    }
  }
  writer.join();
}

}  // namespace
}  // namespace nearcall
