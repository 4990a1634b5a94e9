#ifndef NEARCALL_RUNTIME_ENGINE_MESSAGE_SENDER_H_
#define NEARCALL_RUNTIME_ENGINE_MESSAGE_SENDER_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "google/protobuf/io/zero_copy_stream.h"
#include "nearcall/internal/message.h"
#include "runtime/base/step.h"
#include "runtime/engine/sender.h"

namespace nearcall {

// A message on its way out, sized once.
struct SizedMessage {
  explicit SizedMessage(internal::OutMessage m) : message(m), size(m.ByteSize()) {}
  internal::OutMessage message;
  size_t size;
};

// Of a message that does not fit one frame: small enough for the caches, large enough for few frames.
inline constexpr size_t kMaxFragment = 64 * 1024;

// Where a message that is too large for one frame is serialised to: a buffer's worth at a time, each of which goes out
// as a fragment, between which other calls' frames find their way. The buffer stays in the caches, and the receiver
// takes in the beginning while the rest is still being written.
//
// `send(header, bytes)` sends one fragment, and blocks for room. Threads: thread-compatible.
template <class SendFragment>
class FragmentStream final : public google::protobuf::io::ZeroCopyOutputStream {
 public:
  // `header` is that of the last fragment, but for its size; `total` is the size of the message.
  FragmentStream(const FrameHeader& header, size_t total, size_t fragment, const SendFragment& send)
      : header_(header), total_(total), capacity_(fragment), buffer_(new uint8_t[fragment]), send_(send) {}

  // Sends what is left. What has become of the message.
  SendResult Finish() {
    if (result_ == SendResult::kSent) SendBuffer();
    return result_;
  }

  bool Next(void** data, int* size) override {
    if (unwritten() == 0) return false;  // the last fragment is Finish's to send
    if (filled_ == capacity_ && !SendBuffer()) return false;
    *data = buffer_.get() + filled_;
    *size = static_cast<int>(std::min(capacity_ - filled_, unwritten()));
    filled_ += static_cast<size_t>(*size);
    return true;
  }
  void BackUp(int count) override { filled_ -= static_cast<size_t>(count); }
  int64_t ByteCount() const override { return static_cast<int64_t>(sent_ + filled_); }

 private:
  // Bytes of the message that have not been in the buffer yet.
  size_t unwritten() const { return total_ - sent_ - filled_; }
  bool SendBuffer() {
    result_ = send_(FragmentHeader(header_, filled_, unwritten()), buffer_.get(), filled_);
    sent_ += filled_;
    filled_ = 0;
    return result_ == SendResult::kSent;
  }

  const FrameHeader header_;
  const size_t total_;
  const size_t capacity_;
  const std::unique_ptr<uint8_t[]> buffer_;  // not cleared
  const SendFragment& send_;
  size_t filled_ = 0;
  size_t sent_ = 0;
  SendResult result_ = SendResult::kSent;
};

// Sends one message as kMessage frames: one, written in place, when the Wire has such frames; otherwise fragments.
// `call` and `flags` (kEndStream) go into the last frame. `hold` as for Sender::Send, for messages of one frame.
template <Wire W, class Aborted>
SendResult SendMessage(Sender<W>* sender, uint32_t call, uint8_t flags, const SizedMessage& out, int64_t deadline,
                       const Aborted& aborted, uint64_t* position, ClientContext* context = nullptr,
                       bool hold = false) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kMessage);
  header.flags = flags;
  header.call = call;
  const size_t room = sender->MaxFrame(out.size) - kHeaderSize;
  if (out.size <= room) {
    header.size = static_cast<uint32_t>(kHeaderSize + out.size);
    return sender->Send(
        header, [&](uint8_t* to) { out.message.SerializeTo(to); }, deadline, aborted, position, context, hold);
  }
  const auto send = [&](const FrameHeader& fragment, const uint8_t* bytes, size_t size) {
    const SendResult sent = sender->Send(
        fragment, [&](uint8_t* to) { std::memcpy(to, bytes, size); }, deadline, aborted, position, context);
    NEARCALL_STEP("send.fragment");
    return sent;
  };
  FragmentStream<decltype(send)> stream(header, out.size, std::min(room, kMaxFragment), send);
  out.message.SerializeTo(&stream);
  return stream.Finish();
}

// The same without waiting (Sender::SendOrQueue).
template <Wire W>
bool SendOrQueueMessage(Sender<W>* sender, uint32_t call, uint8_t flags, const SizedMessage& out,
                        SendObserver* observer) {
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kMessage);
  header.flags = flags;
  header.call = call;
  if (kHeaderSize + out.size <= sender->MaxFrame(out.size)) {
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
