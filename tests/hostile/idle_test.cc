// Peers that have begun something and say no more: a server that waits for the rest of it sleeps.

#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/hostile/frames.h"
#include "tests/hostile/peer.h"
#include "tests/testing/resources.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

// No violation, and nothing that a server could finish.
using Beginning = void (*)(Peer*);

const std::vector<Beginning>& OnAnyCarrier() {
  static const auto* const all = new std::vector<Beginning>{
      [](Peer*) {},
      [](Peer* peer) { peer->Send(OpenRequest("Echo")); },
      [](Peer* peer) {
        peer->Send(OpenRequest("Up"));
        peer->Send(Message("a", 1000));
      },
      [](Peer* peer) { peer->Send(FrameOf(FrameKind::kAttachment, {.call = kCall, .extra = 1000}, "a")); },
  };
  return *all;
}

const std::vector<Beginning>& OnASocket() {
  static const auto* const all = new std::vector<Beginning>{
      [](Peer* peer) { peer->Send(Request("Echo", "").substr(0, 1)); },
      [](Peer* peer) { peer->Send(Request("Echo", std::string(100, 'x')).substr(0, 60)); },
  };
  return *all;
}

const std::vector<Beginning>& OnARing() {
  static const auto* const all = new std::vector<Beginning>{
      // Bytes that no frame asks for, with a descriptor and without: they stay unread.
      [](Peer* peer) { peer->socket()->Send("x"); },
      [](Peer* peer) { peer->socket()->SendWithFds("x", {0}); },
      [](Peer* peer) {
        for (int i = 0; i < 1000; ++i) dynamic_cast<RingPeer*>(peer)->Wake();
      },
      [](Peer* peer) {
        SegmentControl* const control = dynamic_cast<RingPeer*>(peer)->own().control();
        control->wants_room.store(1);
        control->sleep_epoch.store(1);
        dynamic_cast<RingPeer*>(peer)->Wake();
      },
  };
  return *all;
}

class Idle : public TransportTest, public ::testing::WithParamInterface<std::string> {
 protected:
  // A server in a process of its own, where nothing else moves.
  Idle() : TransportTest({.mechanism = MechanismNamed(GetParam()), .server = Where::kOwnProcess}) {}
};

TEST_P(Idle, WhatWasBegunKeepsNobodyAwake) {
  StartServer();
  std::vector<std::unique_ptr<Peer>> peers;
  for (const std::vector<Beginning>& beginnings : {OnAnyCarrier(), IsRing(address()) ? OnARing() : OnASocket()}) {
    for (const Beginning& begin : beginnings) {
      peers.push_back(ConnectPeer(address()));
      ASSERT_NE(peers.back(), nullptr);
      begin(peers.back().get());
    }
  }
  // Threads that had work linger for seconds before they go. The watchdog says no if this never ends.
  Await([&] {
    const Activity before = Activity::Of(server()->pid());
    absl::SleepFor(absl::Seconds(1));  // what is measured is that nothing happens
    const Activity after = Activity::Of(server()->pid());
    return after.switches == before.switches && after.cpu_ticks - before.cpu_ticks <= 2;
  });
  peers.front()->Send(Request("Echo", ""));
  EXPECT_EQ(peers.front()->AwaitResponse(kCall), 0);
}

INSTANTIATE_TEST_SUITE_P(Hostile, Idle, ::testing::Values("unix", "tcp", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
