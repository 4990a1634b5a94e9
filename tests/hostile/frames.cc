#include "tests/hostile/frames.h"

#include "absl/strings/str_cat.h"
#include "runtime/stream/handshake.h"

namespace nearcall::testing {

std::string FrameOf(int kind, const Fields& fields, const std::string& payload) {
  const FrameHeader header{fields.size != 0 ? fields.size : static_cast<uint32_t>(kHeaderSize + payload.size()),
                           static_cast<uint8_t>(kind),
                           fields.flags,
                           fields.detail,
                           fields.call,
                           fields.extra};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + payload;
}

std::string FrameOf(FrameKind kind, const Fields& fields, const std::string& payload) {
  return FrameOf(static_cast<int>(kind), fields, payload);
}

std::string HeadFor(const std::string& method) {
  protocol::RequestHead head;
  head.set_method(absl::StrCat("/nearcall.testing.TestService/", method));
  return head.SerializeAsString();
}

std::string Request(const std::string& method, const std::string& message, uint32_t call) {
  const std::string head = HeadFor(method);
  return FrameOf(FrameKind::kRequest,
                 {.flags = frame_flags::kHasMessage | frame_flags::kEndStream,
                  .call = call,
                  .extra = static_cast<uint32_t>(head.size())},
                 head + message);
}

std::string OpenRequest(const std::string& method, uint32_t call) {
  const std::string head = HeadFor(method);
  return FrameOf(FrameKind::kRequest,
                 {.flags = frame_flags::kStream, .call = call, .extra = static_cast<uint32_t>(head.size())}, head);
}

std::string Message(const std::string& payload, uint32_t to_come, uint8_t flags, uint32_t call) {
  return FrameOf(FrameKind::kMessage, {.flags = flags, .call = call, .extra = to_come}, payload);
}

std::string Response(int code, const std::string& head, const std::string& message, uint32_t call) {
  return FrameOf(FrameKind::kResponse,
                 {.flags = code == 0 ? frame_flags::kHasMessage : uint8_t{0},
                  .detail = static_cast<uint16_t>(code),
                  .call = call,
                  .extra = static_cast<uint32_t>(head.size())},
                 head + message);
}

std::string Passing(FdPassing what) { return FrameOf(FrameKind::kFdPassing, {.detail = static_cast<uint16_t>(what)}); }

std::string Ping(size_t size) { return FrameOf(FrameKind::kPing, {}, std::string(size, 'p')); }

std::string HelloFor(protocol::Carrier carrier) {
  protocol::Hello hello;
  hello.set_min_version(kProtocolVersion);
  hello.set_max_version(kProtocolVersion);
  hello.add_carriers(carrier);
  return HandshakeFrame(static_cast<uint8_t>(FrameKind::kHello), hello);
}

std::string Welcome(protocol::Carrier carrier, uint32_t max_calls) {
  protocol::Welcome welcome;
  welcome.set_version(kProtocolVersion);
  welcome.set_carrier(carrier);
  welcome.set_max_calls(max_calls);
  return HandshakeFrame(static_cast<uint8_t>(FrameKind::kWelcome), welcome);
}

std::string Nested(size_t levels) {
  // Field 15 begins and ends a group.
  return std::string(levels, static_cast<char>(15 << 3 | 3)) + std::string(levels, static_cast<char>(15 << 3 | 4));
}

}  // namespace nearcall::testing
