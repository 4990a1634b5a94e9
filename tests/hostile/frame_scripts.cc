// Clients that break the rules of frames and heads.

#include "tests/hostile/script.h"

namespace nearcall::testing {
namespace {

using namespace frame_flags;  // NOLINT: the tables below read better without the prefix

std::function<void(Peer*)> Send(const std::string& frame) {
  return [frame](Peer* peer) { peer->Send(frame); };
}

std::string RequestWithHead(const std::string& head, const Fields& fields) {
  Fields all = fields;
  all.call = kCall;
  return FrameOf(FrameKind::kRequest, all, head);
}

std::string HeadWithMetadata(const std::string& key, const std::string& value) {
  protocol::RequestHead head;
  head.set_method("/nearcall.testing.TestService/Echo");
  protocol::MetadataPair* const pair = head.add_metadata();
  pair->set_key(key);
  pair->set_value(value);
  return head.SerializeAsString();
}

std::string WithHead(const std::string& head) {
  return RequestWithHead(head, {.flags = kHasMessage | kEndStream, .extra = static_cast<uint32_t>(head.size())});
}

}  // namespace

std::vector<ClientScript> FrameScripts() {
  constexpr auto HungUp = ClientScript::HungUp;
  return {
      {"SizeLessThanAHeader", kAll, HungUp(), Send(FrameOf(FrameKind::kPing, {.size = 15}))},
      {"SizeOfOneByte", kAll, HungUp(), Send(FrameOf(FrameKind::kPing, {.size = 1}))},
      {"SizeOverTheLimit", kAll, HungUp(), Send(FrameOf(FrameKind::kPing, {.size = kMaxFrameSize + 1}))},
      {"SizeOf4GiB", kAll, HungUp(), Send(FrameOf(FrameKind::kMessage, {.call = kCall, .size = 0xffffffff}))},
      {"SizeThatWrapsTheStride", kAll, HungUp(), Send(FrameOf(FrameKind::kPing, {.size = 0xfffffff9}))},
      {"NoKind", kAll, HungUp(), Send(FrameOf(0, {}))},
      {"AnUnknownKind", kAll, HungUp(), Send(FrameOf(12, {}))},
      {"TheLastKind", kAll, HungUp(), Send(FrameOf(255, {.call = kCall}))},
      {"AnUnknownFlag", kAll, HungUp(), Send(RequestWithHead("", {.flags = 0x80, .detail = 1}))},
      {"ARequestOfNoCall", kAll, HungUp(), Send(FrameOf(FrameKind::kRequest, {.detail = 1}))},
      {"APingOfACall", kAll, HungUp(), Send(FrameOf(FrameKind::kPing, {.call = kCall}))},
      {"ACancelWithPayload", kAll, HungUp(), Send(FrameOf(FrameKind::kCancel, {.call = kCall}, "x"))},
      {"ASlotOverTheLimit", kAll, HungUp(), Send(Request("Echo", "", CallId(1024)))},
      {"AMethodNumberOverTheLimit", kAll, HungUp(), Send(RequestWithHead("", {.detail = 4096}))},
      {"AMethodNumberWithoutName", kAll, HungUp(), Send(RequestWithHead("", {.detail = 4095}))},
      {"AHeadOverThePayload", kAll, HungUp(), Send(RequestWithHead("abcd", {.detail = 1, .extra = 5}))},
      {"AHeadOf4GiB", kAll, HungUp(), Send(RequestWithHead("abcd", {.detail = 1, .extra = 0xffffffff}))},
      {"AHeadOver8KiB", kAll, HungUp(), Send(RequestWithHead(std::string(8193, 'x'), {.detail = 1, .extra = 8193}))},
      {"AHeadThatIsNoMessage", kAll, HungUp(), Send(WithHead("\xff\xff\xff\xff"))},
      {"AHeadNestedTooDeep", kAll, HungUp(), Send(WithHead(HeadFor("Echo") + Nested(101)))},
      {"ATimeoutThatIsNotThere", kAll, HungUp(), Send(RequestWithHead("", {.flags = kHasTimeout, .detail = 1}))},
      {"AMethodNameOfAnyBytes", kAll, HungUp(), Send(Request("\xff\xfe", ""))},
      {"AMethodNameWithALine", kAll, HungUp(), Send(Request("Echo\n", ""))},
      {"AMetadataKeyOfAnyBytes", kAll, HungUp(), Send(WithHead(HeadWithMetadata("\xff\xfe", "value")))},
      {"AMetadataKeyInCapitals", kAll, HungUp(), Send(WithHead(HeadWithMetadata("KEY", "value")))},
      {"AMetadataValueThatIsNoText", kAll, HungUp(), Send(WithHead(HeadWithMetadata("key", "\x01")))},
      {"AHelloInTheMiddle", kAll, HungUp(), Send(HelloFor(protocol::SOCKET))},
      {"AWelcomeFromAClient", kAll, HungUp(), Send(Welcome(protocol::SOCKET))},
      {"AResponseFromAClient", kAll, HungUp(), Send(Response(0, "", ""))},
      {"HeadersFromAClient", kAll, HungUp(), Send(FrameOf(FrameKind::kHeaders, {.call = kCall}))},
      {"AGoAwayFromAClient", kAll, HungUp(), Send(FrameOf(FrameKind::kGoAway, {}))},
      // What belongs to no call has crossed its end.
      {"FramesOfUnknownCalls", kAll, ClientScript::Served(),
       [](Peer* peer) {
         for (uint32_t i = 0; i < 1000; ++i) {
           peer->Send(Message("abc", 0, 0, CallId(i, i + 1)));
           peer->Send(FrameOf(FrameKind::kCredit, {.call = CallId(i, i + 1), .extra = 0xffffffff}));
           peer->Send(FrameOf(FrameKind::kCancel, {.call = 0xffffffff - i}));
         }
       }},
      {"APongThatNobodyAskedFor", kAll, ClientScript::Served(), Send(FrameOf(FrameKind::kPong, {}, "hello?"))},
      {"AMethodThatIsNotServed", kAll, ClientScript::Answered(absl::StatusCode::kUnimplemented),
       Send(Request("Nothing", ""))},
      // A byte at a time is slow, and no more than that.
      {"ACallInDribbles", kSockets, ClientScript::Answered(absl::StatusCode::kOk),
       [](Peer* peer) {
         for (const char byte : Request("Echo", "")) peer->Send(std::string(1, byte));
       }},
      {"LeavesInAHeader", kSockets, ClientScript::HungUp(),
       [](Peer* peer) {
         peer->Send(std::string(Request("Echo", ""), 0, 9));
         peer->socket()->DoneSending();
       }},
      {"LeavesInAPayload", kSockets, ClientScript::HungUp(),
       [](Peer* peer) {
         peer->Send(std::string(Request("Echo", "abcdef"), 0, 30));
         peer->socket()->DoneSending();
       }},
  };
}

}  // namespace nearcall::testing
