#ifndef NEARCALL_TESTS_HOSTILE_FRAMES_H_
#define NEARCALL_TESTS_HOSTILE_FRAMES_H_

#include <cstdint>
#include <string>

#include "protos/nearcall/protocol.pb.h"
#include "runtime/wire/frame.h"

namespace nearcall::testing {

// The bytes of frames, good or not: whatever a script says goes into the header.

// What a frame has beside its kind and payload. `size` 0: the true one.
struct Fields {
  uint8_t flags = 0;
  uint16_t detail = 0;
  uint32_t call = 0;
  uint32_t extra = 0;
  uint32_t size = 0;
};
std::string FrameOf(FrameKind kind, const Fields& fields, const std::string& payload = "");
std::string FrameOf(int kind, const Fields& fields, const std::string& payload = "");

// The id of a call: the `use`th one in a slot.
constexpr uint32_t CallId(uint32_t slot, uint32_t use = 1) { return use << kCallSlotBits | slot; }
constexpr uint32_t kCall = CallId(0);

// The head of a REQUEST for a method of TestService.
std::string HeadFor(const std::string& method);
// A REQUEST with its whole message, as of a unary call.
std::string Request(const std::string& method, const std::string& message, uint32_t call = kCall);
// A REQUEST whose messages are to follow; the method has to be one that streams, or the call waits for its one message.
std::string OpenRequest(const std::string& method, uint32_t call = kCall);
// A MESSAGE: whole, or a fragment with so many bytes to come.
std::string Message(const std::string& payload, uint32_t to_come = 0, uint8_t flags = 0, uint32_t call = kCall);
std::string Response(int code, const std::string& head, const std::string& message, uint32_t call = kCall);
std::string Ping(size_t size);
std::string Passing(FdPassing what);

// HELLO and WELCOME.
std::string HelloFor(protocol::Carrier carrier);
std::string Welcome(protocol::Carrier carrier, uint32_t max_calls = 100);

// A message of any type, nested so deep in groups that nobody knows.
std::string Nested(size_t levels);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_HOSTILE_FRAMES_H_
