#include "runtime/engine/sender.h"

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/stream/stream_wire.h"
#include "tests/testing/watchdog.h"

namespace nearcall {
namespace {

// A Sender whose Wire is one end of a socket pair; the other end is the test's. Nobody polls.
class SenderTest : public ::testing::Test, public Pollable {
 protected:
  SenderTest() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    peer_.reset(ends[1]);
    wire_ = std::make_unique<StreamWire>(Fd(ends[0]), "the peer");
    sender_ = std::make_unique<Sender<StreamWire>>(wire_.get(), &reactor_, this);
  }

  Polled Poll() override { return Polled::kIdle; }
  bool PrepareSleep() override { return true; }
  void FinishSleep(uint32_t) override {}
  int watched_fds(WatchedFd*) const override { return 0; }

  void Send(size_t size, bool hold) {
    FrameHeader header{};
    header.kind = static_cast<uint8_t>(FrameKind::kMessage);
    header.call = 1;
    header.size = static_cast<uint32_t>(kHeaderSize + size);
    const auto fill = [&](uint8_t* to) { std::fill_n(to, size, uint8_t{1}); };
    EXPECT_EQ(sender_->Send(
                  header, fill, kNever, [] { return false; }, nullptr, nullptr, hold),
              SendResult::kSent);
  }
  // Sends frames of `size` bytes that must not wait, until there is neither room for one nor place in the backlog: how
  // many of them were left behind.
  size_t FillBacklog(Sender<StreamWire>* sender, size_t size) {
    const std::string payload(size - kHeaderSize, 'p');
    FrameHeader header{};
    header.kind = static_cast<uint8_t>(FrameKind::kPong);
    while (wire_->Claim(size) != nullptr) EXPECT_TRUE(sender->SendNow(header, payload.data(), payload.size()));
    size_t left = 0;
    while (sender->SendNow(header, payload.data(), payload.size())) ++left;
    return left;
  }
  // How many bytes one read finds.
  size_t Read() {
    std::string bytes(1 << 20, '\0');
    return static_cast<size_t>(std::max<ssize_t>(0, recv(peer_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT)));
  }

  Reactor reactor_{Spin::kNever};
  Fd peer_;
  std::unique_ptr<StreamWire> wire_;
  std::unique_ptr<Sender<StreamWire>> sender_;
};

// The backlog has so many bytes and not one more; what went out makes place.
TEST_F(SenderTest, TheBacklogHasALimitInBytes) {
  Sender<StreamWire> sender(wire_.get(), &reactor_, this, /*max_backlog_bytes=*/10'000);
  EXPECT_EQ(FillBacklog(&sender, 1000), 10u);
  EXPECT_FALSE(sender.SendNow(FrameKind::kPong, 0)) << "16 bytes more than there is place for";
  while (Read() != 0) sender.Service();
  EXPECT_EQ(FillBacklog(&sender, 3000), 3u);
  EXPECT_TRUE(sender.SendNow(FrameKind::kPong, 0)) << "1000 are left";
  sender.Close();
}

TEST_F(SenderTest, TheBacklogHasALimitInFrames) {
  EXPECT_EQ(FillBacklog(sender_.get(), kHeaderSize), 4096u);
  sender_->Close();
}

// What the Wire takes of a backlog is sent also where that is not all: who is to make room for the rest must see it.
TEST_F(SenderTest, ABacklogOfMoreThanTheWireTakesGoesOut) {
  Sender<StreamWire> sender(wire_.get(), &reactor_, this, /*max_backlog_bytes=*/1'000'000);
  ASSERT_EQ(FillBacklog(&sender, 1000), 1000u);
  while (Read() != 0) sender.Service();
  EXPECT_EQ(FillBacklog(&sender, 1000), 1000u) << "something of it is still here";
  sender.Close();
}

TEST_F(SenderTest, WhatIsHeldGoesWithTheNextFrame) {
  Send(84, /*hold=*/true);
  Send(84, /*hold=*/true);
  EXPECT_EQ(Read(), 0u);
  Send(84, /*hold=*/false);
  EXPECT_EQ(Read(), 300u);
}

TEST_F(SenderTest, WhatIsHeldGoesWithAFrameOfAnotherCall) {
  Send(84, /*hold=*/true);
  EXPECT_TRUE(sender_->SendNow(FrameKind::kCancel, 2));
  EXPECT_EQ(Read(), 100u + kHeaderSize);
}

TEST_F(SenderTest, WhatIsHeldGoesWhenAskedTo) {
  sender_->FlushHeld();
  Send(84, /*hold=*/true);
  EXPECT_EQ(Read(), 0u);
  sender_->FlushHeld();
  EXPECT_EQ(Read(), 100u);
}

TEST_F(SenderTest, NotMuchIsHeld) {
  size_t sent = 0, read = 0;
  while ((read = Read()) == 0) {
    Send(1008, /*hold=*/true);
    sent += 1024;
    ASSERT_LE(sent, 1u << 20);
  }
  EXPECT_EQ(read, sent);
  EXPECT_LE(sent, 16u << 10);
}

// On one CPU a poller that stays awake keeps away the very thread that it waits for.
TEST_F(SenderTest, ThePollerMaySleepOnceAThreadWasToldOfRoom) {
  ASSERT_TRUE(reactor_.TryAcquire());  // this thread polls; the other one waits to be told
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kMessage);
  header.call = 1;
  header.size = kMaxFrameSize;
  const auto fill = [](uint8_t* to) { std::fill_n(to, kMaxFrameSize - kHeaderSize, uint8_t{1}); };
  absl::Notification waits, may_go_on;
  std::thread writer([&] {
    int looks = 0;
    const auto aborted = [&] {
      if (++looks == 1) waits.Notify();
      if (looks > 2) may_go_on.WaitForNotification();  // awake again
      return false;
    };
    // More than there is room for: each Send but the last finds some.
    while (looks == 0) EXPECT_EQ(sender_->Send(header, fill, kNever, aborted), SendResult::kSent);
  });
  waits.WaitForNotification();
  testing::Await([&] { return wire_->wants_write(); });
  while (wire_->wants_write()) {
    Read();
    sender_->Service();
  }
  may_go_on.Notify();
  reactor_.Release();
  writer.join();
}

}  // namespace
}  // namespace nearcall
