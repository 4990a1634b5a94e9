// Servers that are none, or do not mean well.

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"
#include "tests/hostile/script.h"

namespace nearcall::testing {
namespace {

using namespace frame_flags;  // NOLINT: the tables below read better without the prefix
using absl::StatusCode;

// What a client that was given a proper handshake is told then; `make` gets the id of its call.
template <class Make>
std::function<void(Peer*, uint32_t)> Say(Make make) {
  return [make](Peer* peer, uint32_t call) {
    const std::vector<std::string> frames = make(call);
    for (const std::string& frame : frames) peer->Send(frame);
    peer->AwaitEnd();
  };
}
using Frames = std::vector<std::string>;

std::function<void(RawSocket*)> Answer(const std::string& bytes, bool hangs_up = false) {
  return [bytes, hangs_up](RawSocket* client) {
    client->ReceiveFrame(FrameKind::kHello);
    client->Send(bytes);
    if (!hangs_up) client->AwaitEnd();
  };
}

std::string Refusal(uint32_t code, const std::string& why = "no") {
  protocol::Welcome welcome;
  welcome.set_code(code);
  welcome.set_message(why);
  const std::string payload = welcome.SerializeAsString();
  return FrameOf(FrameKind::kWelcome, {.extra = kMagic}, payload);
}

void WelcomeWithFds(RawSocket* client, const std::vector<int>& fds) {
  client->ReceiveFrame(FrameKind::kHello);
  client->SendWithFds(Welcome(protocol::RING), fds);
  client->AwaitEnd();
}

void ShortPatience(ChannelOptions* options) { options->connect_timeout = absl::Milliseconds(100); }
void Deadline(ClientContext* context) { context->set_timeout(absl::Milliseconds(100)); }

std::string HeadOf(const std::string& message) {
  protocol::ResponseHead head;
  head.set_message(message);
  return head.SerializeAsString();
}

std::string HeadWithMetadata(const std::string& key, const std::string& value) {
  protocol::ResponseHead head;
  protocol::MetadataPair* const pair = head.add_trailing_metadata();
  pair->set_key(key);
  pair->set_value(value);
  return head.SerializeAsString();
}

std::string NotSeen(uint32_t call) {
  return FrameOf(FrameKind::kResponse, {.flags = kNotSeen, .detail = 14, .call = call});
}

RingPeer* RingOf(Peer* peer) { return static_cast<RingPeer*>(peer); }

}  // namespace

std::vector<ServerScript> WelcomeScripts() {
  std::vector<ServerScript> scripts = {
      {"SaysNothing", kAll, {StatusCode::kUnavailable}, nullptr, Answer(""), ServerScript::kUnary, ShortPatience},
      {"HangsUpAtOnce", kAll, {StatusCode::kUnavailable}, nullptr, Answer("", true)},
      {"HangsUpInItsWelcome",
       kAll,
       {StatusCode::kUnavailable},
       nullptr,
       Answer(Welcome(protocol::SOCKET).substr(0, 20), true)},
      {"StopsInItsWelcome",
       kAll,
       {StatusCode::kUnavailable},
       nullptr,
       Answer(Welcome(protocol::SOCKET).substr(0, 20)),
       ServerScript::kUnary,
       ShortPatience},
      {"SpeaksHttp", kAll, {StatusCode::kInternal}, nullptr, Answer("HTTP/1.1 400 Bad Request\r\n\r\n")},
      {"AWelcomeOf4GiB",
       kAll,
       {StatusCode::kInternal},
       nullptr,
       Answer(FrameOf(FrameKind::kWelcome, {.extra = kMagic, .size = 0xffffffff}))},
      {"AWelcomeOver4KiB",
       kAll,
       {StatusCode::kInternal},
       nullptr,
       Answer(FrameOf(FrameKind::kWelcome, {.extra = kMagic}, std::string(4081, 'x')))},
      {"AWelcomeThatIsNoMessage",
       kAll,
       {StatusCode::kInternal},
       nullptr,
       Answer(FrameOf(FrameKind::kWelcome, {.extra = kMagic}, "\xff\xff"))},
      {"AWelcomeNestedTooDeep",
       kAll,
       {StatusCode::kInternal},
       nullptr,
       Answer(FrameOf(FrameKind::kWelcome, {.extra = kMagic}, Nested(1000)))},
      {"ARefusalWithAnUnknownCode", kAll, {StatusCode::kUnknown}, nullptr, Answer(Refusal(4711))},
      {"ARefusalOfAnyBytes", kAll, {StatusCode::kAborted}, nullptr, Answer(Refusal(10, "\xff\n%s%n"))},
      {"NoCallsAtAll", kSockets, {StatusCode::kInternal}, nullptr, Answer(Welcome(protocol::SOCKET, 0))},
      {"ACarrierThatWasNotAskedFor", kSockets, {StatusCode::kInternal}, nullptr, Answer(Welcome(protocol::RING))},
      {"TheSocketInsteadOfTheRing", kRing, {StatusCode::kInternal}, nullptr, Answer(Welcome(protocol::SOCKET))},
      {"ARingWithoutDescriptors", kRing, {StatusCode::kInvalidArgument}, nullptr, Answer(Welcome(protocol::RING))},
      {"ARingOfOtherThings",
       kRing,
       {StatusCode::kInvalidArgument},
       nullptr,
       [](RawSocket* client) {
         const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
         WelcomeWithFds(client, {zero.get(), zero.get()});
       }},
      {"ADoorbellOfAnotherKind",
       kRing,
       {StatusCode::kInvalidArgument},
       nullptr,
       [](RawSocket* client) {
         const RingPeer::Offer offer;
         const Fd event(eventfd(0, EFD_CLOEXEC));
         WelcomeWithFds(client, {offer.own.fd(), event.get()});
       }},
      {"AFloodOfDescriptors",
       kUnixOrRing,
       {StatusCode::kResourceExhausted},
       nullptr,
       [](RawSocket* client) {
         const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
         WelcomeWithFds(client, std::vector<int>(253, null.get()));
       }},
  };
  return scripts;
}

std::vector<ServerScript> AnswerScripts() {
  const std::vector<StatusCode> broken = {StatusCode::kInternal};
  return {
      {"NeverAnswers",
       kAll,
       {StatusCode::kDeadlineExceeded},
       [](Peer* peer, uint32_t) { peer->AwaitEnd(); },
       nullptr,
       ServerScript::kUnary,
       nullptr,
       Deadline},
      {"NeverReads",
       kAll,
       {StatusCode::kDeadlineExceeded},
       [](Peer* peer, uint32_t) {
         usleep(200'000);  // for longer than the client waits; TCP says that it has gone only to who reads
         peer->AwaitEnd();
       },
       nullptr,
       ServerScript::kLargeUnary,
       nullptr,
       Deadline},
      {"HangsUp", kAll, {StatusCode::kUnavailable}, [](Peer*, uint32_t) {}},
      {"HangsUpInAFrame",
       kSockets,
       {StatusCode::kUnavailable},
       [](Peer* peer, uint32_t call) { peer->Send(Response(0, "", "abcdef", call).substr(0, 19)); }},
      {"Dribbles",
       kSockets,
       {StatusCode::kOk},
       [](Peer* peer, uint32_t call) {
         for (const char byte : Response(0, "", PayloadBytes(20), call)) peer->Send(std::string(1, byte));
         peer->AwaitEnd();
       }},
      {"ASizeLessThanAHeader", kAll, broken,
       Say([](uint32_t) { return Frames{FrameOf(FrameKind::kPing, {.size = 3})}; })},
      {"ASizeOf4GiB", kAll, broken,
       Say([](uint32_t call) { return Frames{FrameOf(FrameKind::kMessage, {.call = call, .size = 0xffffffff})}; })},
      {"AnUnknownKind", kAll, broken, Say([](uint32_t) { return Frames{FrameOf(12, {})}; })},
      {"ARequestFromAServer", kAll, broken, Say([](uint32_t) { return Frames{Request("Echo", "")}; })},
      {"ACancelFromAServer", kAll, broken,
       Say([](uint32_t call) { return Frames{FrameOf(FrameKind::kCancel, {.call = call})}; })},
      {"ASecondWelcome", kAll, broken, Say([](uint32_t) { return Frames{Welcome(protocol::SOCKET)}; })},
      {"AStatusCodeThatIsNone", kAll, broken, Say([](uint32_t call) { return Frames{Response(17, "", "", call)}; })},
      {"AHeadThatIsNoMessage", kAll, broken,
       Say([](uint32_t call) { return Frames{Response(5, "\xff\xff", "", call)}; })},
      {"AHeadOverThePayload", kAll, broken, Say([](uint32_t call) {
         return Frames{FrameOf(FrameKind::kResponse, {.detail = 5, .call = call, .extra = 100}, "abc")};
       })},
      {"MetadataThatMayNotTravel", kAll, broken,
       Say([](uint32_t call) { return Frames{Response(5, HeadWithMetadata("KEY", "\n"), "", call)}; })},
      {"MetadataOfAnyBytes", kAll, broken,
       Say([](uint32_t call) { return Frames{Response(5, HeadWithMetadata("\xff\xfe", "value"), "", call)}; })},
      {"AStatusOfAnyBytes", kAll, {StatusCode::kNotFound}, Say([](uint32_t call) {
         return Frames{Response(5, HeadOf("\xff\n%s%n"), "", call)};
       })},
      {"AMessageThatIsNone", kAll, broken,
       Say([](uint32_t call) { return Frames{Response(0, "", "\xff\xff", call)}; })},
      {"AnEndWithoutMessage", kAll, broken,
       Say([](uint32_t call) { return Frames{FrameOf(FrameKind::kResponse, {.call = call})}; })},
      {"Nested100", kAll, {StatusCode::kOk}, Say([](uint32_t call) {
         return Frames{Response(0, "", Nested(100), call)};
       })},
      {"Nested101", kAll, broken, Say([](uint32_t call) { return Frames{Response(0, "", Nested(101), call)}; })},
      {"FourGiBAnnounced", kAll, {StatusCode::kResourceExhausted}, Say([](uint32_t call) {
         return Frames{Message("a", 0xffffffff, 0, call)};
       })},
      {"MoreBytesThanTheChannelHas",
       kAll,
       {StatusCode::kResourceExhausted},
       Say([](uint32_t call) {
         Frames frames;
         for (uint32_t left = 300'000; left >= 10'000; left -= 10'000) {
           frames.push_back(Message(std::string(10'000, 'a'), left - 10'000, 0, call));
         }
         return frames;
       }),
       nullptr,
       ServerScript::kUnary,
       [](ChannelOptions* options) { options->max_buffered_bytes = 100'000; }},
      {"AnswersOfOtherCalls", kAll, {StatusCode::kOk}, Say([](uint32_t call) {
         return Frames{Response(0, "", "", call + 1), Response(0, "", "", call + (1 << kCallSlotBits)),
                       Response(0, "", "", 0xffffffff), Message("a", 0xffffff, 0, 0xffff), Response(0, "", "", call)};
       })},
      {"TheAnswerTwice", kAll, {StatusCode::kOk}, Say([](uint32_t call) {
         return Frames{Response(0, "", "", call), Response(3, "", "", call)};
       })},
      {"GoesAwayAndAnswers", kAll, {StatusCode::kOk}, Say([](uint32_t call) {
         return Frames{FrameOf(FrameKind::kGoAway, {}), Response(0, "", "", call)};
       })},
      // And never closes a connection: the client must, or it keeps one for each call.
      {"GoesAwayAfterEachCall",
       kAll,
       {StatusCode::kOk},
       [](Peer* peer, uint32_t call) {
         peer->Send(Response(0, "", "", call));
         peer->Send(FrameOf(FrameKind::kGoAway, {}));
         FrameHeader header;
         std::string payload;
         while (peer->Receive(&header, &payload)) {  // a request that has crossed it
           if (header.kind == static_cast<uint8_t>(FrameKind::kRequest)) peer->Send(NotSeen(header.call));
         }
       },
       nullptr,
       ServerScript::kSeveral},
      // Each try is answered so: the client must not try for ever.
      {"HasNeverSeenTheCall",
       kAll,
       {StatusCode::kUnavailable},
       [](Peer* peer, uint32_t call) {
         FrameHeader header{};
         std::string payload;
         do {
           peer->Send(NotSeen(call));
           do {
             if (!peer->Receive(&header, &payload)) return;
           } while (header.kind != static_cast<uint8_t>(FrameKind::kRequest));
           call = header.call;
         } while (true);
       }},
      {"PingsForEver", kAll, broken,
       [](Peer* peer, uint32_t) {
         FrameHeader header;
         std::string payload;
         do {
           peer->Send(Ping(8));
         } while (peer->Receive(&header, &payload));
       }},
      {"PingsWithoutReading",
       kAll,
       {StatusCode::kUnavailable, StatusCode::kInternal},
       [](Peer* peer, uint32_t) {
         for (int i = 0; i < 999; ++i) peer->Send(Ping(30'000));
         peer->AwaitEnd();
       },
       nullptr,
       ServerScript::kUnary,
       [](ChannelOptions* options) { options->max_backlog_bytes = 100'000; }},
      {"DescriptorsWithTheAnswer",
       kUnix,
       {StatusCode::kOk},
       [](Peer* peer, uint32_t call) {
         const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
         peer->socket()->SendWithFds(Response(0, "", "", call), std::vector<int>(253, null.get()));
         peer->AwaitEnd();
       }},
  };
}

std::vector<ServerScript> StreamScripts() {
  const std::vector<StatusCode> broken = {StatusCode::kInternal};
  const auto stream = [](std::string name, std::vector<StatusCode> outcomes, std::function<void(Peer*, uint32_t)> play,
                         ServerScript::Call call = ServerScript::kStream) {
    return ServerScript{std::move(name), kAll, std::move(outcomes), std::move(play), nullptr, call};
  };
  const auto headers = [](uint32_t call) { return FrameOf(FrameKind::kHeaders, {.call = call}); };
  return {
      stream("HeadersTwice", broken, Say([headers](uint32_t call) {
               return Frames{headers(call), headers(call)};
             })),
      stream("AnEmptyFragment", broken, Say([](uint32_t call) { return Frames{Message("", 5, 0, call)}; })),
      stream("FragmentsThatDoNotFit", broken, Say([](uint32_t call) {
               return Frames{Message("a", 10, 0, call), Message("b", 10, 0, call)};
             })),
      stream("AnEndInTheMiddle", broken, Say([](uint32_t call) { return Frames{Message("a", 10, kEndStream, call)}; })),
      stream("AMessageAfterTheEnd", broken, Say([](uint32_t call) {
               return Frames{Message("", 0, kEndStream | kNoMessage, call), Message("", 0, 0, call)};
             })),
      stream("MoreThanWasGranted", broken,
             [](Peer* peer, uint32_t call) {
               for (int i = 0; i < 3; ++i) peer->Send(Message(PayloadBytes(30'000), 0, 0, call));
               peer->Send(Message("a", 4'000'000, 0, call));
               for (int i = 0; i < 3; ++i) peer->Send(Message(PayloadBytes(30'000), 0, 0, call));
               peer->AwaitEnd();
             }),
      stream("CreditBeyondReason", broken, Say([](uint32_t call) {
               return Frames(400, FrameOf(FrameKind::kCredit, {.call = call, .extra = 0xffffffff}));
             }),
             ServerScript::kUp),
      {"AStreamThatNeverEnds",
       kAll,
       {StatusCode::kDeadlineExceeded},
       [](Peer* peer, uint32_t) { peer->AwaitEnd(); },
       nullptr,
       ServerScript::kStream,
       nullptr,
       Deadline},
  };
}

std::vector<ServerScript> RingServerScripts() {
  const auto stray = [](Peer* peer, uint32_t call) {
    peer->socket()->Send("x");
    peer->Send(Response(0, "", "", call));
    peer->AwaitEnd();
  };
  const auto scribble = [](Peer* peer, uint32_t) {
    std::memset(RingOf(peer)->own().ring(), 0xff, RingOf(peer)->own().ring_size());
    RingOf(peer)->Wake();
    peer->AwaitEnd();
  };
  // With each answer another lie about sleeping.
  const auto restless = [](Peer* peer, uint32_t call) {
    SegmentControl* const control = RingOf(peer)->own().control();
    for (uint32_t i = 0; i < 100'000; ++i) {
      control->sleep_epoch.store(i * 2654435761u);
      control->wants_room.store(i);
      if (i % 1000 == 0) RingOf(peer)->Wake();
    }
    peer->Send(Response(0, "", "", call));
    peer->AwaitEnd();
  };
  return {
      {"SpeaksOnTheSocket", kRing, {StatusCode::kOk}, stray},
      {"ScribblesOverItsRing", kRing, {StatusCode::kInternal}, scribble},
      {"SleepsAndWakesAtRandom", kRing, {StatusCode::kOk}, restless},
  };
}

}  // namespace nearcall::testing
