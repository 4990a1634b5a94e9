#include "nearcall/call_attachments.h"

#include <utility>

#include "nearcall/internal/attachments.h"

namespace nearcall {

void CallAttachments::Attach(Buffer buffer) {
  if (outgoing_ == nullptr) outgoing_ = std::make_shared<internal::OutgoingAttachments>();
  outgoing_->buffers.push_back(std::move(buffer));
}

void CallAttachments::AttachFd(int fd) {
  if (outgoing_ == nullptr) outgoing_ = std::make_shared<internal::OutgoingAttachments>();
  outgoing_->AddFd(fd);
}

const std::vector<Buffer>& CallAttachments::attachments() const {
  static const auto* const none = new std::vector<Buffer>;
  return incoming_ == nullptr ? *none : incoming_->buffers();
}

size_t CallAttachments::attached_fd_count() const { return incoming_ == nullptr ? 0 : incoming_->fd_count(); }

int CallAttachments::TakeAttachedFd(size_t index) { return incoming_ == nullptr ? -1 : incoming_->TakeFd(index); }

}  // namespace nearcall
