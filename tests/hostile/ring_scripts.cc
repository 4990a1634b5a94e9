// Clients that write what they like into shared memory.

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "gtest/gtest.h"
#include "tests/hostile/script.h"

namespace nearcall::testing {
namespace {

RingPeer* RingOf(Peer* peer) { return static_cast<RingPeer*>(peer); }

// Has the server send so much that its ring is full, so that it looks where this side says it stands.
void AskForMuch(Peer* peer) {
  Payload request;
  request.set_number(5'000'000);
  peer->Send(Request("Produce", request.SerializeAsString()));
}

std::function<void(Peer*)> SayThatWeRead(uint64_t position) {
  return [position](Peer* peer) {
    AskForMuch(peer);
    RingOf(peer)->own().control()->read_position.store(position);
    RingOf(peer)->Wake();
    peer->socket()->AwaitEnd();  // to receive would be to say anew where we stand
  };
}

// Writes at random into one word, over and over, while calls go on.
template <class Write>
std::function<void(Peer*)> WhileCallsGoOn(Write write) {
  return [write](Peer* peer) {
    RingPeer* const ring = RingOf(peer);
    std::atomic<bool> stop{false};
    std::thread writer([&] {
      std::mt19937 random(5);
      while (!stop) write(ring, random());
    });
    for (uint32_t i = 1; i <= 2000; ++i) {
      peer->Send(Request("Echo", PayloadBytes(i % 500), CallId(1, i)));
      if (peer->AwaitResponse(CallId(1, i)) != 0) {
        ADD_FAILURE() << "call " << i << " got no answer";
        break;
      }
    }
    stop = true;
    writer.join();
    ring->own().control()->sleep_epoch.store(0);
    ring->own().control()->wants_room.store(0);
  };
}

// Publishes a record that says that a frame of `size` bytes lies at `offset` in the bulk area.
std::function<void(Peer*)> SayThatAFrameLies(uint32_t size, uint32_t offset) {
  return [size, offset](Peer* peer) {
    RingPeer* const ring = RingOf(peer);
    std::memcpy(ring->next() + 4, &offset, sizeof offset);
    ring->next_word().exchange(size | RingPeer::kInBulk);
    ring->Wake();
  };
}

}  // namespace

std::vector<ClientScript> RingScripts() {
  constexpr auto HungUp = ClientScript::HungUp;
  constexpr auto Served = ClientScript::Served;
  return {
      {"HasReadMoreThanWasWritten", kRing, HungUp(), SayThatWeRead(uint64_t{1} << 30)},
      {"HasReadAlmostEverything", kRing, HungUp(), SayThatWeRead(~uint64_t{7})},
      {"HasReadWhatWraps", kRing, HungUp(), SayThatWeRead(uint64_t{1} << 63)},
      {"HasReadLessThanBefore", kRing, HungUp(),
       [](Peer* peer) {
         AskForMuch(peer);
         FrameHeader header;
         std::string payload;
         for (int i = 0; i < 40; ++i) EXPECT_TRUE(peer->Receive(&header, &payload));
         // The server has looked by now: there was no room for so many fragments before.
         RingOf(peer)->own().control()->read_position.store(0);
         for (int i = 0; i < 4; ++i) RingOf(peer)->Wake();
         peer->socket()->AwaitEnd();
       }},
      {"FrameBehindItsMemory", kRing, HungUp(), SayThatAFrameLies(100, RingPeer::kBulkSize - 64)},
      {"FrameFarBehindItsMemory", kRing, HungUp(), SayThatAFrameLies(100, 0xffffffc0)},
      {"FrameLargerThanItsMemory", kRing, HungUp(), SayThatAFrameLies(0x7fffffff, 0)},
      {"FrameLessThanAHeaderInItsMemory", kRing, HungUp(), SayThatAFrameLies(15, 0)},
      {"FrameAtACrookedPlace", kRing, HungUp(), SayThatAFrameLies(100, 4)},
      {"FrameWhereThereIsNoMemory", kRing, HungUp(), SayThatAFrameLies(1'000'000, 1'000'000 / 64 * 64)},
      {"PublishesNothingAndRings", kRing, Served(),
       [](Peer* peer) {
         // The pipe fills up, and its owner empties it when it sees fit.
         for (int i = 0; i < 100'000; ++i) RingOf(peer)->Wake();
       }},
      {"NeverRings", kRing, Served(),
       [](Peer* peer) {
         // A frame that nobody was told of: its sender's own loss, until something else wakes the server.
         RingPeer* const ring = RingOf(peer);
         const std::string ping = Ping(8);
         std::memcpy(ring->next() + 4, ping.data() + 4, ping.size() - 4);
       }},
      {"StopsListening", kRing, Served(),
       [](Peer* peer) {
         // The doorbell is closed: who rings it must not die of it.
         const Doorbell gone = std::move(RingOf(peer)->bell());
         RingOf(peer)->own().control()->sleep_epoch.store(1);
       }},
      {"SaysThatItSleepsForEver", kRing, Served(),
       WhileCallsGoOn([](RingPeer* ring, uint32_t random) { ring->own().control()->sleep_epoch.store(random | 1); })},
      {"SleepsAndWakesAtRandom", kRing, Served(),
       WhileCallsGoOn([](RingPeer* ring, uint32_t random) { ring->own().control()->sleep_epoch.store(random); })},
      {"WantsRoomForEver", kRing, Served(), WhileCallsGoOn([](RingPeer* ring, uint32_t random) {
         ring->own().control()->wants_room.store(random);
         ring->own().control()->sleep_epoch.store(random | 1);
       })},
      {"RingsWhileItCalls", kRing, Served(), WhileCallsGoOn([](RingPeer* ring, uint32_t) { ring->Wake(); })},
      {"SpeaksOnTheSocket", kRing, Served(), [](Peer* peer) { peer->socket()->Send("x"); }},
      {"ScribblesOverItsRing", kRing, HungUp(),
       [](Peer* peer) {
         // Random words all over, until the server has had enough: which it has at the first size that is none.
         RingPeer* const ring = RingOf(peer);
         std::mt19937 random(6);
         auto* const words = reinterpret_cast<std::atomic<uint32_t>*>(ring->own().ring());
         for (int i = 0; i < 1'000'000; ++i) words[random() % (ring->own().ring_size() / 4)].store(random());
         ring->next_word().store(0xffffffff);
         ring->Wake();
       }},
  };
}

}  // namespace nearcall::testing
