#include "runtime/engine/attachments.h"

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_status.h"

namespace nearcall {
namespace {

struct ReceivedBytes final : internal::BufferMemory {
  explicit ReceivedBytes(std::string b) : bytes(std::move(b)) {}
  const std::string bytes;
};

absl::Status OverQuota(const char* what, const Quota& limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat("attached ", what, " would go beyond the ", limit.limit(), " of ", limit.name()));
}

}  // namespace

absl::Status CheckAttachments(const internal::OutgoingAttachments& attachments, bool passes_fds,
                              absl::string_view transport) {
  const size_t count = attachments.buffers.size() + attachments.fds.size();
  if (attachments.fd_error != 0) return ErrnoStatus(attachments.fd_error, "attaching a file descriptor");
  if (count > kMaxAttachments) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the call has ", count, " attachments; the limit is ", kMaxAttachments));
  }
  if (!attachments.fds.empty() && !passes_fds) {
    return absl::FailedPreconditionError(
        absl::StrCat("file descriptors can be attached over shm and unix; this call goes over ", transport));
  }
  for (const Buffer& buffer : attachments.buffers) {
    if (buffer.size() > kMaxMessageSize && (!passes_fds || !LentBuffers::CanLend(buffer))) {
      return absl::ResourceExhaustedError(absl::StrCat("an attachment of ", buffer.size(),
                                                       " bytes would be copied over ", transport, "; the limit is ",
                                                       kMaxMessageSize));
    }
  }
  return absl::OkStatus();
}

bool ReceivedAttachments::Add(ReceivedAttachment attachment) {
  const bool is_part = left_ != 0;
  if (is_part && attachment.type != AttachmentType::kBytes) return false;
  if (!is_part && ++count_ > kMaxAttachments) return false;
  if (!attachment.error.ok()) Fail(std::move(attachment.error));
  switch (attachment.type) {
    case AttachmentType::kBytes:
      return AddBytes(attachment);
    case AttachmentType::kBuffer:
      if (status_.ok()) buffers_.push_back(std::move(attachment.buffer));
      return true;
    case AttachmentType::kFd:
      if (!status_.ok()) return true;
      if (const Quota* const lacking = fds_quota_ == nullptr ? nullptr : fds_quota_->Take(1)) {
        Fail(OverQuota("file descriptors that no handler has taken", *lacking));
        return true;
      }
      ++charged_fds_;
      fds_.push_back(attachment.fd.release());
      return true;
  }
  return false;
}

bool ReceivedAttachments::AddBytes(const ReceivedAttachment& part) {
  const uint64_t total = part.size + uint64_t{part.left};
  if (left_ != 0 ? total != left_ : total > kMaxMessageSize) return false;
  left_ = part.left;
  if (!status_.ok()) return true;
  const auto size = static_cast<int64_t>(part.size);
  if (const Quota* const lacking = bytes_quota_ == nullptr ? nullptr : bytes_quota_->Take(size)) {
    Fail(OverQuota("bytes", *lacking));
    return true;
  }
  charged_bytes_ += size;
  partial_.append(reinterpret_cast<const char*>(part.bytes), part.size);
  if (left_ != 0) return true;
  const auto memory = std::make_shared<ReceivedBytes>(std::exchange(partial_, std::string()));
  const std::string& bytes = memory->bytes;
  buffers_.push_back(
      internal::BufferAccess::MakeReadOnly(memory, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  return true;
}

void ReceivedAttachments::Fail(absl::Status status) {
  status_ = std::move(status);
  buffers_.clear();
  for (int& fd : fds_) Fd(std::exchange(fd, -1)).reset();
  fds_.clear();
  std::string().swap(partial_);
  Settle();  // nothing more is added
}

void ReceivedAttachments::Settle() {
  if (bytes_quota_ != nullptr) bytes_quota_->Give(std::exchange(charged_bytes_, 0));
  if (fds_quota_ != nullptr) fds_quota_->Give(std::exchange(charged_fds_, 0));
  bytes_quota_ = fds_quota_ = nullptr;
}

}  // namespace nearcall
