#include "runtime/wire/frame.h"

namespace nearcall {
namespace {

using namespace frame_flags;  // NOLINT: the table below reads better without the prefix

// What each kind of frame may look like. Indexed by FrameKind.
struct KindRule {
  uint8_t flags;        // those that it may carry
  bool of_call;         // whether it belongs to a call (header.call != 0) or to the connection (== 0)
  bool has_head;        // whether `extra` counts bytes at the start of the payload
  uint16_t max_detail;
  bool has_payload;
};
constexpr KindRule kRules[kLastFrameKind + 1] = {
    {},                                                                                  // 0 is no kind
    {0, false, false, 0, true},                                                          // kHello
    {0, false, false, 0, true},                                                          // kWelcome
    {kHasMessage | kHasTimeout | kEndStream | kStream, true, true, kMaxMethodNumber, true},  // kRequest
    {kEndStream | kNoMessage, true, false, 0, true},                                     // kMessage
    {0, true, true, 0, true},                                                            // kHeaders
    {kHasMessage | kNotSeen, true, true, 16, true},                                      // kResponse
    {0, true, false, 0, false},                                                          // kCancel
    {0, true, false, 0, false},                                                          // kCredit
    {0, false, false, 0, false},                                                         // kGoAway
    {0, false, false, 0, true},                                                          // kPing
    {0, false, false, 0, true},                                                          // kPong
};

}  // namespace

FrameError ValidateHeader(const FrameHeader& header, uint32_t max_size) {
  if (header.size < kHeaderSize) return FrameError::kSizeTooSmall;
  if (header.size > max_size) return FrameError::kSizeTooLarge;
  if (header.kind == 0 || header.kind > kLastFrameKind) return FrameError::kUnknownKind;
  const KindRule& rule = kRules[header.kind];
  if ((header.flags & ~rule.flags) != 0) return FrameError::kBadFlags;
  if ((header.call != 0) != rule.of_call) return FrameError::kBadCall;
  if (header.detail > rule.max_detail) return FrameError::kBadDetail;
  const uint32_t payload = header.size - static_cast<uint32_t>(kHeaderSize);
  if (!rule.has_payload && payload != 0) return FrameError::kSizeTooLarge;
  if (rule.has_head) {
    const uint32_t timeout = (header.flags & kHasTimeout) != 0 ? 8 : 0;
    if (header.extra > kMaxHeadSize || timeout + uint64_t{header.extra} > payload) return FrameError::kBadHead;
    if ((header.flags & kHasMessage) == 0 && payload != timeout + header.extra) return FrameError::kBadHead;
  }
  if (static_cast<FrameKind>(header.kind) == FrameKind::kMessage && (header.flags & kNoMessage) != 0 &&
      (payload != 0 || header.extra != 0 || (header.flags & kEndStream) == 0)) {
    return FrameError::kBadFlags;
  }
  return FrameError::kNone;
}

const char* FrameErrorText(FrameError error) {
  switch (error) {
    case FrameError::kNone:
      return "no error";
    case FrameError::kSizeTooSmall:
      return "a frame smaller than its header";
    case FrameError::kSizeTooLarge:
      return "a frame larger than this connection carries";
    case FrameError::kUnknownKind:
      return "a frame of unknown kind";
    case FrameError::kBadFlags:
      return "a frame with flags that its kind does not have";
    case FrameError::kBadCall:
      return "a frame with a call number where none belongs, or without one";
    case FrameError::kBadHead:
      return "a frame whose head does not fit its payload";
    case FrameError::kBadDetail:
      return "a frame with a method number or status code out of range";
  }
  return "an unknown frame error";
}

}  // namespace nearcall
