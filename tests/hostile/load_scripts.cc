// Clients that want more than their share: of memory, of handlers, of the CPU, of patience.

#include "gtest/gtest.h"
#include "tests/hostile/script.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

std::string Gate(const std::string& gate) {
  GateRequest request;
  request.set_gate(gate);
  return request.SerializeAsString();
}

// How many have come to a gate, as the server says to `peer`.
GateState Look(Peer* peer, const std::string& gate, uint32_t call) {
  peer->Send(Request("Look", Gate(gate), call));
  FrameHeader header;
  std::string payload;
  GateState state;
  while (peer->Receive(&header, &payload)) {
    if (header.kind != static_cast<uint8_t>(FrameKind::kResponse) || header.call != call) continue;
    EXPECT_TRUE(state.ParseFromString(payload.substr(header.extra)));
    return state;
  }
  ADD_FAILURE() << "the server hung up";
  return state;
}

std::string Down(int64_t count, int64_t size) {
  DownRequest request;
  request.set_count(count);
  request.set_size(size);
  return request.SerializeAsString();
}

// Cancels calls as soon as they are open: everything that was begun ends.
void OpenAndCancel(Peer* peer) {
  uint32_t use = 0;
  for (int round = 0; round < 500; ++round) {
    ++use;
    for (uint32_t slot = 0; slot < 4; ++slot) peer->Send(Request("Block", Gate("flood"), CallId(slot, use)));
    for (uint32_t slot = 0; slot < 4; ++slot) {
      peer->Send(FrameOf(FrameKind::kCancel, {.call = CallId(slot, use)}));
    }
  }
  uint32_t looks = 0;
  Await([&] {
    const GateState state = Look(peer, "flood", CallId(1, use + 1 + ++looks));
    return state.entered() > 0 && state.left() == state.entered();
  });
}

}  // namespace

std::vector<ClientScript> LoadScripts() {
  constexpr auto HungUp = ClientScript::HungUp;
  constexpr auto Served = ClientScript::Served;
  return {
      {"OpensAndCancels", kAll, Served(), OpenAndCancel, nullptr,
       [](ServerOptions* options) { options->max_concurrent_calls_per_connection = 4; }},
      // Waits for each answer, so that only their number is wrong.
      {"PingsForEver", kAll, HungUp(),
       [](Peer* peer) {
         FrameHeader header;
         std::string payload;
         do {
           peer->Send(Ping(8));
         } while (peer->Receive(&header, &payload));
       }},
      {"PingsWithoutReading", kAll, HungUp(),
       [](Peer* peer) {
         for (int i = 0; i < 999; ++i) peer->Send(Ping(30'000));
       },
       nullptr, [](ServerOptions* options) { options->max_backlog_bytes = 100'000; }},
      {"AsksForRefusalsWithoutReading", kAll, HungUp(),
       [](Peer* peer) {
         const std::string name(7000, 'x');
         for (uint32_t i = 1; i < 2000; ++i) peer->Send(Request(name, "", CallId(0, i)));
       },
       nullptr, [](ServerOptions* options) { options->max_backlog_bytes = 100'000; }},
      // Handlers wait for room, each on a thread, until the client goes.
      {"NeverReadsItsAnswers", kAll, ClientScript::Nothing(),
       [](Peer* peer) {
         Payload request;
         request.set_number(1'000'000);
         for (uint32_t i = 0; i < 20; ++i) peer->Send(Request("Produce", request.SerializeAsString(), CallId(i)));
       }},
      {"NeverReadsItsStream", kAll, ClientScript::Nothing(),
       [](Peer* peer) {
         for (uint32_t i = 0; i < 20; ++i) peer->Send(Request("Down", Down(1'000'000, 10'000), CallId(i)));
       }},
      {"GrantsEverythingAndNeverReads", kAll, ClientScript::Nothing(),
       [](Peer* peer) {
         for (uint32_t i = 0; i < 4; ++i) {
           peer->Send(Request("Down", Down(1'000'000, 10'000), CallId(i)));
           for (int grant = 0; grant < 200; ++grant) {
             peer->Send(FrameOf(FrameKind::kCredit, {.call = CallId(i), .extra = 0xffffffff}));
           }
         }
       }},
      // 4 MiB on every call, of which a byte comes: what is set aside is what came.
      {"AnnouncesMuchOnEveryCall", kAll, Served(),
       [](Peer* peer) {
         for (uint32_t i = 1; i < 1024; ++i) {
           peer->Send(OpenRequest("Echo", CallId(i)));
           peer->Send(Message("a", (4 << 20) - 1, 0, CallId(i)));
         }
       }},
      {"LeavesHandlersBehind", kAll, ClientScript::Nothing(),
       [](Peer* peer) {
         for (uint32_t i = 0; i < 50; ++i) peer->Send(Request("Block", Gate("left"), CallId(i)));
       }},
      {"LeavesStreamsBehind", kAll, ClientScript::Nothing(),
       [](Peer* peer) {
         for (uint32_t i = 0; i < 50; ++i) {
           peer->Send(OpenRequest("Chat", CallId(i)));
           peer->Send(Message(PayloadBytes(100), 0, 0, CallId(i)));
         }
       }},
  };
}

}  // namespace nearcall::testing
