#ifndef NEARCALL_RUNTIME_WIRE_FRAME_H_
#define NEARCALL_RUNTIME_WIRE_FRAME_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace nearcall {

static_assert(std::endian::native == std::endian::little, "frames are little-endian in memory");

// The unit of everything that travels: a header of 16 bytes, then `size - 16` bytes of payload. docs/PROTOCOL.md is the
// specification of the format and of each kind; this file is its C++ form.
//
//   0       4      5       6        8       12      16
//   | size  | kind | flags | detail | call  | extra | payload ...
struct FrameHeader {
  uint32_t size;    // of the whole frame, header included
  uint8_t kind;     // FrameKind
  uint8_t flags;    // FrameFlags
  uint16_t detail;  // kRequest: method number; kResponse: status code; kAttachment: AttachmentType;
                    // kRelease: 1 if the buffer could not be mapped; kFdPassing: FdPassing
  uint32_t call;    // which call the frame belongs to; 0 for the connection itself
  uint32_t extra;   // kRequest, kResponse: bytes of head; kMessage: bytes of the message still to come; kCredit: bytes;
                    // kHello, kWelcome: kMagic; kAttachment, kRelease, kForget: see there; others: 0
};
static_assert(sizeof(FrameHeader) == 16);
inline constexpr size_t kHeaderSize = sizeof(FrameHeader);

enum class FrameKind : uint8_t {
  kHello = 1,     // client to server, first: what the client speaks and wants
  kWelcome = 2,   // server to client, first: what was agreed, or why not
  kRequest = 3,   // begins a call
  kMessage = 4,   // a message of a call, or a fragment of one
  kHeaders = 5,   // the server's initial metadata, before its first message
  kResponse = 6,  // ends a call: status, trailing metadata, and perhaps the one message
  kCancel = 7,    // the caller gives the call up
  kCredit = 8,    // the receiver of a stream grants room for more
  kGoAway = 9,    // the server serves no further calls on this connection
  kPing = 10,
  kPong = 11,
  kAttachment = 12,  // what goes with the request or the answer of a call, before it
  kRelease = 13,     // the receiver of a buffer does not read it any more
  kForget = 14,      // the lender of a buffer will not lend it again
  kFdPassing = 15,   // descriptors over the socket that carries the frames: may they come?
};
inline constexpr uint8_t kLastFrameKind = 15;

namespace frame_flags {
inline constexpr uint8_t kHasMessage = 1;   // kRequest, kResponse: the payload ends with a whole message
inline constexpr uint8_t kHasTimeout = 2;   // kRequest: the payload begins with the remaining time, uint64 nanoseconds
inline constexpr uint8_t kEndStream = 4;    // kRequest, kMessage: the sender's last message; kMessage may be empty then
inline constexpr uint8_t kNoMessage = 8;    // kMessage: only ends the stream, carries no message
inline constexpr uint8_t kNotSeen = 16;     // kResponse: no handler has seen the call; it may be sent again elsewhere
inline constexpr uint8_t kStream = 32;      // kRequest: the call may have more than one message in some direction
inline constexpr uint8_t kDescriptor = 64;  // kAttachment: a file descriptor travels with the frame
}  // namespace frame_flags

// What a kAttachment frame brings; its `detail`.
enum class AttachmentType : uint16_t {
  kBytes = 0,   // a copy, or a fragment of one: `extra` bytes of it are still to come
  kBuffer = 1,  // the sender's buffer number `extra`: its size, uint64; with a descriptor where it is new
  kFd = 2,      // the descriptor itself
};
// What a kFdPassing frame says; its `detail`. Whoever does not expect descriptors reads the socket in a cheaper way, in
// which those that come are lost: so the first one waits for the answer.
enum class FdPassing : uint16_t {
  kWanted = 0,    // the sender of this wants to pass descriptors
  kExpected = 1,  // the sender of this expects them from now on
};

// Of one call, in one direction.
inline constexpr size_t kMaxAttachments = 64;
// Buffers that one side of a connection has lent to the other: 0 to this, exclusive.
inline constexpr uint32_t kMaxBuffers = 256;

// "NCAL": tells the first frame of a connection from another protocol's bytes.
inline constexpr uint32_t kMagic = 0x4c41434e;
inline constexpr uint32_t kProtocolVersion = 1;

// Bytes of messages that a stream's sender may have under way before the receiver grants more, unless the handshake
// says otherwise. A message may be sent while the balance is positive and then costs its size plus kMessageOverhead: a
// balance below zero holds the next one.
inline constexpr int64_t kInitialCredit = 64 * 1024;
inline constexpr int64_t kMessageOverhead = 32;

// The largest frame that any connection carries; each mechanism may have a lower limit of its own.
inline constexpr uint32_t kMaxFrameSize = 64 * 1024;
// The largest message: a protobuf message, and what a fragment's header can announce, ends here.
inline constexpr size_t kMaxMessageSize = (size_t{1} << 31) - 1;
// The first frame in each direction is smaller.
inline constexpr uint32_t kMaxHandshakeFrameSize = 4 * 1024;
// Of the head (method name, metadata, status text and details) that a request or a response carries.
inline constexpr uint32_t kMaxHeadSize = 8 * 1024;
// Method numbers that a caller may announce on one connection: 1 to this.
inline constexpr uint32_t kMaxMethodNumber = 4095;
// The part of a call's id that says which of the caller's slots it uses; the rest tells the slot's users apart.
inline constexpr uint32_t kCallSlotBits = 16;
inline constexpr uint32_t kMaxCallSlots = 1u << kCallSlotBits;

inline FrameHeader LoadHeader(const void* bytes) {
  FrameHeader header;
  std::memcpy(&header, bytes, kHeaderSize);
  return header;
}

// The header of one fragment of a message: `part` bytes of it are in this frame, and `left` still to come. `last` is
// the header of the message's last frame, but for its size: what it says of the call's end is said there alone.
inline FrameHeader FragmentHeader(FrameHeader last, size_t part, size_t left) {
  last.size = static_cast<uint32_t>(kHeaderSize + part);
  if (left != 0) {
    last.flags = 0;
    last.extra = static_cast<uint32_t>(left);
  }
  return last;
}

// What is wrong with a header by itself, whatever the state of the connection; kNone if nothing is.
enum class FrameError : uint8_t {
  kNone,
  kSizeTooSmall,  // less than a header
  kSizeTooLarge,  // more than `max_size`
  kUnknownKind,
  kBadFlags,   // a flag that the kind does not have, or two that exclude each other
  kBadCall,    // a call of 0 where one is needed, or the reverse
  kBadHead,    // a head larger than the payload or than kMaxHeadSize
  kBadDetail,  // not a method number, not a status code, not zero where it must be
};
const char* FrameErrorText(FrameError error);

// What each kind of frame may look like. Indexed by FrameKind.
struct FrameRule {
  uint8_t flags;  // those that it may carry
  bool of_call;   // whether it belongs to a call (header.call != 0) or to the connection (== 0)
  bool has_head;  // whether `extra` counts bytes at the start of the payload
  uint16_t max_detail;
  bool has_payload;
};
inline constexpr FrameRule kFrameRules[kLastFrameKind + 1] = {
    {},                          // 0 is no kind
    {0, false, false, 0, true},  // kHello
    {0, false, false, 0, true},  // kWelcome
    {frame_flags::kHasMessage | frame_flags::kHasTimeout | frame_flags::kEndStream | frame_flags::kStream, true, true,
     kMaxMethodNumber, true},                                                   // kRequest
    {frame_flags::kEndStream | frame_flags::kNoMessage, true, false, 0, true},  // kMessage
    {0, true, true, 0, true},                                                   // kHeaders
    {frame_flags::kHasMessage | frame_flags::kNotSeen, true, true, 16, true},   // kResponse
    {0, true, false, 0, false},                                                 // kCancel
    {0, true, false, 0, false},                                                 // kCredit
    {0, false, false, 0, false},                                                // kGoAway
    {0, false, false, 0, true},                                                 // kPing
    {0, false, false, 0, true},                                                 // kPong
    {frame_flags::kDescriptor, true, false, 2, true},                           // kAttachment
    {0, false, false, 1, false},                                                // kRelease
    {0, false, false, 0, false},                                                // kForget
    {0, false, false, 1, false},                                                // kFdPassing
};

// Checks a header that was copied out of the peer's reach: never one that the peer can still change.
inline FrameError ValidateHeader(const FrameHeader& header, uint32_t max_size) {
  if (header.size < kHeaderSize) return FrameError::kSizeTooSmall;
  if (header.size > max_size) return FrameError::kSizeTooLarge;
  if (header.kind == 0 || header.kind > kLastFrameKind) return FrameError::kUnknownKind;
  const FrameRule& rule = kFrameRules[header.kind];
  if ((header.flags & ~rule.flags) != 0) return FrameError::kBadFlags;
  if ((header.call != 0) != rule.of_call) return FrameError::kBadCall;
  if (header.detail > rule.max_detail) return FrameError::kBadDetail;
  const uint32_t payload = header.size - static_cast<uint32_t>(kHeaderSize);
  if (!rule.has_payload && payload != 0) return FrameError::kSizeTooLarge;
  if (rule.has_head) {
    const uint32_t timeout = (header.flags & frame_flags::kHasTimeout) != 0 ? 8 : 0;
    if (header.extra > kMaxHeadSize || timeout + uint64_t{header.extra} > payload) return FrameError::kBadHead;
    if ((header.flags & frame_flags::kHasMessage) == 0 && payload != timeout + header.extra)
      return FrameError::kBadHead;
  }
  if (static_cast<FrameKind>(header.kind) == FrameKind::kMessage && (header.flags & frame_flags::kNoMessage) != 0 &&
      (payload != 0 || header.extra != 0 || (header.flags & frame_flags::kEndStream) == 0)) {
    return FrameError::kBadFlags;
  }
  return FrameError::kNone;
}

// A received frame: a validated copy of its header, and where its payload lies. In shared memory the peer can still
// change the payload: whoever reads it reads each byte once.
struct Frame {
  FrameHeader header;
  const uint8_t* payload = nullptr;

  FrameKind kind() const { return static_cast<FrameKind>(header.kind); }
  bool has(uint8_t flag) const { return (header.flags & flag) != 0; }
  size_t payload_size() const { return header.size - kHeaderSize; }
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_WIRE_FRAME_H_
