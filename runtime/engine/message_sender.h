#ifndef NEARCALL_RUNTIME_ENGINE_MESSAGE_SENDER_H_
#define NEARCALL_RUNTIME_ENGINE_MESSAGE_SENDER_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "nearcall/internal/message.h"
#include "runtime/engine/sender.h"

namespace nearcall {

// A message on its way out, sized once.
struct SizedMessage {
  explicit SizedMessage(internal::OutMessage m) : message(m), size(m.ByteSize()) {}
  internal::OutMessage message;
  size_t size;
};

// A protobuf message, and what a fragment's header can announce, ends here.
inline constexpr size_t kMaxMessageSize = (size_t{1} << 31) - 1;

// Sends one message as kMessage frames: one, written in place, when it fits the Wire's frames; otherwise fragments of a
// copy, between which other calls' frames find their way. `call` and `flags` (kEndStream) go into the last frame.
// `hold` as for Sender::Send, for messages of one frame.
template <Wire W, class Aborted>
SendResult SendMessage(Sender<W>* sender, uint32_t max_frame, uint32_t call, uint8_t flags, const SizedMessage& out,
                       int64_t deadline, const Aborted& aborted, uint64_t* position, ClientContext* context = nullptr,
                       bool hold = false) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kMessage);
  header.call = call;
  const size_t room = max_frame - kHeaderSize;
  if (out.size <= room) {
    header.flags = flags;
    header.size = static_cast<uint32_t>(kHeaderSize + out.size);
    return sender->Send(
        header, [&](uint8_t* to) { out.message.SerializeTo(to); }, deadline, aborted, position, context, hold);
  }
  const std::unique_ptr<uint8_t[]> bytes(new uint8_t[out.size]);  // not cleared
  out.message.SerializeTo(bytes.get());
  for (size_t sent = 0; sent < out.size;) {
    const size_t part = std::min(room, out.size - sent);
    header.size = static_cast<uint32_t>(kHeaderSize + part);
    header.extra = static_cast<uint32_t>(out.size - sent - part);
    if (header.extra == 0) header.flags = flags;
    const SendResult result = sender->Send(
        header, [&](uint8_t* to) { std::memcpy(to, bytes.get() + sent, part); }, deadline, aborted, position, context);
    if (result != SendResult::kSent) return result;
    sent += part;
  }
  return SendResult::kSent;
}

// The same without waiting (Sender::SendOrQueue).
template <Wire W>
bool SendOrQueueMessage(Sender<W>* sender, uint32_t max_frame, uint32_t call, uint8_t flags, const SizedMessage& out,
                        SendObserver* observer) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kMessage);
  header.flags = flags;
  header.call = call;
  if (out.size <= max_frame - kHeaderSize) {
    header.size = static_cast<uint32_t>(kHeaderSize + out.size);
    return sender->SendOrQueue(
        header, [&](uint8_t* to) { out.message.SerializeTo(to); }, observer);
  }
  std::string bytes(out.size, '\0');
  out.message.SerializeTo(reinterpret_cast<uint8_t*>(bytes.data()));
  return sender->SendOrQueueFragments(header, std::move(bytes), observer);
}

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_MESSAGE_SENDER_H_
