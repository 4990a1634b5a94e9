#include "nearcall/internal/attachments.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "runtime/base/fd.h"

namespace nearcall {
namespace internal {

SharedFd::SharedFd(int fd) : owner_(std::make_shared<const Fd>(fd)), fd_(fd) {}

void OutgoingAttachments::AddFd(int fd) {
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) {
    fd_error = errno;
  } else {
    fds.push_back(SharedFd(copy));
  }
}

IncomingAttachments::~IncomingAttachments() {
  for (const int fd : fds_) Fd(fd).reset();
}

int IncomingAttachments::TakeFd(size_t index) {
  if (index >= fds_.size() || fds_[index] < 0) return -1;
  OnTaken();
  return std::exchange(fds_[index], -1);
}

void PassAttachments(CallAttachments* from, CallAttachments* to) {
  for (const Buffer& buffer : from->attachments()) to->Attach(buffer);
  for (size_t i = 0; i < from->attached_fd_count(); ++i) {
    const int fd = from->TakeAttachedFd(i);
    to->AttachFd(fd);
    if (fd >= 0) close(fd);
  }
}

}  // namespace internal
}  // namespace nearcall
