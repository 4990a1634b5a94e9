// Clients whose frames are good and whose calls are not.

#include <algorithm>

#include "tests/hostile/script.h"

namespace nearcall::testing {
namespace {

using namespace frame_flags;  // NOLINT: the tables below read better without the prefix

// The frames of one client, one behind the other.
std::function<void(Peer*)> Send(const std::vector<std::string>& frames) {
  return [frames](Peer* peer) {
    for (const std::string& frame : frames) peer->Send(frame);
  };
}

constexpr size_t kFragment = 16 * 1024;

// A unary call whose request comes in fragments.
void SendInFragments(Peer* peer, const std::string& method, const std::string& message, uint32_t call = kCall) {
  peer->Send(FrameOf(FrameKind::kRequest, {.call = call, .extra = static_cast<uint32_t>(HeadFor(method).size())},
                     HeadFor(method)));
  for (size_t at = 0; at < message.size(); at += kFragment) {
    const size_t size = std::min(kFragment, message.size() - at);
    const bool last = at + size == message.size();
    peer->Send(Message(message.substr(at, size), static_cast<uint32_t>(message.size() - at - size),
                       last ? kEndStream : uint8_t{0}, call));
  }
}

std::function<void(Peer*)> Nest(size_t levels) {
  return [levels](Peer* peer) { SendInFragments(peer, "Echo", Nested(levels)); };
}

// Messages of 64 bytes, more than was granted.
std::function<void(Peer*)> OverrunCredit(const std::string& method) {
  return [method](Peer* peer) {
    peer->Send(OpenRequest(method));
    peer->Send(Message(PayloadBytes(4)));
    for (int i = 0; i < 2000; ++i) peer->Send(Message(PayloadBytes(60)));
  };
}

}  // namespace

std::vector<ClientScript> CallScripts() {
  constexpr auto HungUp = ClientScript::HungUp;
  constexpr auto Answered = ClientScript::Answered;
  return {
      {"TwoCallsInASlot", kAll, HungUp(), Send({OpenRequest("Up"), OpenRequest("Up", CallId(0, 2))})},
      {"TheSameCallTwice", kAll, HungUp(), Send({OpenRequest("Up"), OpenRequest("Up")})},
      {"AnEmptyFragment", kAll, HungUp(), Send({OpenRequest("Up"), Message("", 10)})},
      {"FragmentsThatDoNotFit", kAll, HungUp(), Send({OpenRequest("Up"), Message("a", 10), Message("b", 10)})},
      {"AFragmentTooLong", kAll, HungUp(), Send({OpenRequest("Up"), Message("a", 1), Message("bcd")})},
      {"AFragmentThatWraps", kAll, HungUp(),
       Send({OpenRequest("Up"), Message("a", 4), Message("bbbbbbbb", 0xfffffffc)})},
      {"AnEndInTheMiddle", kAll, HungUp(), Send({OpenRequest("Up"), Message("a", 10, kEndStream)})},
      {"AMessageAfterTheEnd", kAll, HungUp(),
       Send({OpenRequest("BlockUp"), Message(PayloadBytes(4)), Message("", 0, kEndStream | kNoMessage),
             Message(PayloadBytes(4))})},
      {"MoreThanWasGranted", kAll, HungUp(), OverrunCredit("BlockUp")},
      {"CreditBeyondReason", kAll, HungUp(),
       [](Peer* peer) {
         peer->Send(OpenRequest("Up"));
         for (int i = 0; i < 400; ++i) {
           peer->Send(FrameOf(FrameKind::kCredit, {.call = kCall, .extra = 0xffffffff}));
         }
       }},
      {"NoMessageAtAll", kAll, Answered(absl::StatusCode::kInvalidArgument),
       Send({OpenRequest("Echo"), Message("", 0, kEndStream | kNoMessage)})},
      {"AMessageThatIsNone", kAll, Answered(absl::StatusCode::kInvalidArgument),
       Send({Request("Echo", "\xff\xff\xff")})},
      {"FourGiBAnnounced", kAll, Answered(absl::StatusCode::kResourceExhausted),
       Send({OpenRequest("Up"), Message("a", 0xffffffff)})},
      {"OneByteOverTheLimitAnnounced", kAll, Answered(absl::StatusCode::kResourceExhausted),
       Send({OpenRequest("Up"), Message("a", 4 << 20)})},
      {"Nested99", kAll, Answered(absl::StatusCode::kOk), Nest(99)},
      {"Nested100", kAll, Answered(absl::StatusCode::kOk), Nest(100)},
      {"Nested101", kAll, Answered(absl::StatusCode::kInvalidArgument), Nest(101)},
      {"NestedAMillion", kAll, Answered(absl::StatusCode::kInvalidArgument), Nest(1'000'000)},
      {"NoTime", kAll, Answered(absl::StatusCode::kDeadlineExceeded),
       [](Peer* peer) {
         const std::string head = HeadFor("Up");
         peer->Send(
             FrameOf(FrameKind::kRequest,
                     {.flags = kHasTimeout | kStream, .call = kCall, .extra = static_cast<uint32_t>(head.size())},
                     std::string(8, '\0') + head));
       }},
      {"MoreBytesThanAConnectionMayHave", kAll, Answered(absl::StatusCode::kResourceExhausted),
       [](Peer* peer) { SendInFragments(peer, "Echo", PayloadBytes(500'000)); }, nullptr,
       [](ServerOptions* options) { options->max_buffered_bytes_per_connection = 200'000; }},
      {"MoreBytesThanAUserMayHave", kUnixOrRing, Answered(absl::StatusCode::kResourceExhausted),
       [](Peer* peer) { SendInFragments(peer, "Echo", PayloadBytes(500'000)); }, nullptr,
       [](ServerOptions* options) { options->max_buffered_bytes_per_user = 200'000; }},
      {"MoreBytesThanTheServerHas", kAll, Answered(absl::StatusCode::kResourceExhausted),
       [](Peer* peer) { SendInFragments(peer, "Echo", PayloadBytes(500'000)); }, nullptr,
       [](ServerOptions* options) { options->max_buffered_bytes = 200'000; }},
      // Names that nobody serves are the client's to invent, and are kept.
      {"LongNamesForEveryNumber", kAll, HungUp(),
       [](Peer* peer) {
         const std::string head = HeadFor(std::string(8000, 'x'));
         for (uint16_t number = 1; number < 200; ++number) {
           const uint32_t call = CallId(0, number);
           peer->Send(FrameOf(FrameKind::kRequest,
                              {.flags = kHasMessage | kEndStream,
                               .detail = number,
                               .call = call,
                               .extra = static_cast<uint32_t>(head.size())},
                              head));
           if (peer->AwaitResponse(call) < 0) return;
         }
       },
       nullptr, [](ServerOptions* options) { options->max_buffered_bytes_per_connection = 1'000'000; }},
  };
}

}  // namespace nearcall::testing
