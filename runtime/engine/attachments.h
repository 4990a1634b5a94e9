#ifndef NEARCALL_RUNTIME_ENGINE_ATTACHMENTS_H_
#define NEARCALL_RUNTIME_ENGINE_ATTACHMENTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nearcall/internal/attachments.h"
#include "nearcall/internal/buffer_memory.h"
#include "runtime/engine/borrowed_buffers.h"
#include "runtime/engine/lent_buffers.h"
#include "runtime/engine/message_sender.h"
#include "runtime/engine/quota.h"
#include "runtime/engine/sender.h"
#include "runtime/wire/wire.h"

namespace nearcall {

// What goes beside the messages of a call: ATTACHMENT frames, in front of its REQUEST and in front of its RESPONSE.
// Buffers that the peer can map are lent, all others copied.

// --- Sending ---

// OK, or why these attachments cannot go over a connection: RESOURCE_EXHAUSTED, or FAILED_PRECONDITION for descriptors
// where `passes_fds` is false. `transport` is its name.
absl::Status CheckAttachments(const internal::OutgoingAttachments& attachments, bool passes_fds,
                              absl::string_view transport);

// Sends the attachments of call `call`, which CheckAttachments has let pass: calls `send(header, fill, fd)` for each
// frame, until that is something else than kSent. No frame is larger than `max_frame`.
template <class Send>
SendResult SendAttachments(const internal::OutgoingAttachments& attachments, uint32_t call, bool passes_fds,
                           size_t max_frame, LentBuffers* lent, const Send& send) {
  const auto header_of = [&](AttachmentType type, size_t payload) {
    FrameHeader header{};
    header.size = static_cast<uint32_t>(kHeaderSize + payload);
    header.kind = static_cast<uint8_t>(FrameKind::kAttachment);
    header.detail = static_cast<uint16_t>(type);
    header.call = call;
    return header;
  };
  const auto send_copy = [&](const Buffer& buffer) {
    size_t done = 0;
    SendResult sent;
    do {
      const size_t part = std::min(buffer.size() - done, max_frame - kHeaderSize);
      FrameHeader header = header_of(AttachmentType::kBytes, part);
      header.extra = static_cast<uint32_t>(buffer.size() - done - part);
      const auto fill = [&](uint8_t* to) {
        if (part != 0) std::memcpy(to, buffer.data() + done, part);
      };
      sent = send(header, fill, internal::SharedFd());
      NEARCALL_STEP("send.attachment.part");
      done += part;
    } while (sent == SendResult::kSent && done < buffer.size());
    return sent;
  };
  for (const Buffer& buffer : attachments.buffers) {
    const auto own =
        passes_fds ? std::dynamic_pointer_cast<OwnMemory>(internal::BufferAccess::memory(buffer)) : nullptr;
    const auto loan = own != nullptr ? lent->Lend(own) : absl::nullopt;
    SendResult sent;
    if (loan.has_value()) {
      const uint64_t size = buffer.size();
      FrameHeader header = header_of(AttachmentType::kBuffer, sizeof size);
      header.extra = loan->buffer;
      if (loan->is_new) header.flags = frame_flags::kDescriptor;
      NEARCALL_STEP("send.attachment.loan");
      sent = send(
          header, [&](uint8_t* to) { std::memcpy(to, &size, sizeof size); },
          loan->is_new ? internal::SharedFd(own->memory(), own->memory()->fd()) : internal::SharedFd());
      if (sent == SendResult::kSent) {
        lent->Sent(*loan);
      } else {
        lent->NotSent(*loan);
      }
    } else {
      sent = send_copy(buffer);
    }
    if (sent != SendResult::kSent) return sent;
  }
  const auto no_payload = [](uint8_t*) {};
  for (const internal::SharedFd& fd : attachments.fds) {
    FrameHeader header = header_of(AttachmentType::kFd, 0);
    header.flags = frame_flags::kDescriptor;
    NEARCALL_STEP("send.attachment.fd");
    const SendResult sent = send(header, no_payload, fd);
    if (sent != SendResult::kSent) return sent;
  }
  return SendResult::kSent;
}

// --- Receiving ---

// What one ATTACHMENT frame has brought. Whatever no call takes is given back.
struct ReceivedAttachment {
  AttachmentType type = AttachmentType::kBytes;
  absl::Status error;  // instead of what follows: the call fails with it
  Buffer buffer;
  Fd fd;
  const uint8_t* bytes = nullptr;  // in the frame
  size_t size = 0;
  uint32_t left = 0;
};

// Takes a frame apart. False on a violation. Poller.
template <Wire W>
bool ReceiveAttachment(const Frame& frame, W* wire, BorrowedBuffers* borrowed, ReceivedAttachment* out) {
  NEARCALL_STEP("receive.attachment");
  out->type = static_cast<AttachmentType>(frame.header.detail);
  const uint32_t extra = frame.header.extra;
  if (frame.has(frame_flags::kDescriptor)) {
    ReceivedFd received = wire->TakeFd();
    if (received.lost) {
      out->error =
          absl::ResourceExhaustedError("a file descriptor that came with the call could not be opened: too many are");
    } else if (!received.fd.valid()) {
      return false;
    }
    out->fd = std::move(received.fd);
  }
  switch (out->type) {
    case AttachmentType::kBytes:
      out->bytes = frame.payload;
      out->size = frame.payload_size();
      out->left = extra;
      return !frame.has(frame_flags::kDescriptor) && (out->size != 0 || extra == 0);
    case AttachmentType::kBuffer: {
      uint64_t size;
      if (frame.payload_size() != sizeof size) return false;
      std::memcpy(&size, frame.payload, sizeof size);
      if (!out->error.ok()) return borrowed->Lost(extra) && borrowed->Borrow(extra, size, &out->buffer, &out->error);
      if (out->fd.valid() && !borrowed->Adopt(extra, std::move(out->fd))) return false;
      return borrowed->Borrow(extra, size, &out->buffer, &out->error);
    }
    case AttachmentType::kFd:
      return frame.has(frame_flags::kDescriptor) && frame.payload_size() == 0;
  }
  return false;
}

// The peer asks whether descriptors may come, and gets its answer; or ours has come. False: a violation, or the peer
// does not read. Poller.
template <Wire W>
bool AnswerFdPassing(const Frame& frame, W* wire, Sender<W>* sender) {
  NEARCALL_STEP("receive.fd_passing");
  const auto passing = static_cast<FdPassing>(frame.header.detail);
  if (!wire->OnFdPassing(passing)) return false;
  return passing == FdPassing::kExpected ||
         sender->SendNow(FrameKind::kFdPassing, 0, 0, static_cast<uint16_t>(FdPassing::kExpected));
}

// The attachments of one call that have come so far.
//
// Threads: the poller's until the call gets them, then its context's.
class ReceivedAttachments final : public internal::IncomingAttachments {
 public:
  // Copies count for `bytes`, descriptors that are not taken for `fds`; nullptr: without limit. The quotas must outlive
  // this, or Settle.
  ReceivedAttachments(Quota* bytes, Quota* fds) : bytes_quota_(bytes), fds_quota_(fds) {}
  ~ReceivedAttachments() override { Settle(); }

  // One more, unless the call has failed already. False on a violation.
  bool Add(ReceivedAttachment attachment);
  // Whether none is half there.
  bool complete() const { return left_ == 0; }
  // Why the call cannot have them, if so.
  const absl::Status& status() const { return status_; }
  // From here on what is here is the application's, and counts no more.
  void Settle();

 private:
  void Fail(absl::Status status);
  bool AddBytes(const ReceivedAttachment& part);
  void OnTaken() override {
    if (fds_quota_ != nullptr) fds_quota_->Give(1);
    --charged_fds_;
  }

  Quota* bytes_quota_;
  Quota* fds_quota_;
  int64_t charged_bytes_ = 0;
  int64_t charged_fds_ = 0;
  absl::Status status_;
  size_t count_ = 0;
  uint64_t left_ = 0;    // bytes of the last one that are still to come
  std::string partial_;  // what has come of it
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_ATTACHMENTS_H_
