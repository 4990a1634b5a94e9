#ifndef NEARCALL_INTERNAL_ATTACHMENTS_H_
#define NEARCALL_INTERNAL_ATTACHMENTS_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "nearcall/buffer.h"
#include "nearcall/call_attachments.h"

namespace nearcall {
namespace internal {

// A file descriptor that is closed with its last owner; nothing, by default.
class SharedFd {
 public:
  SharedFd() = default;
  // Takes `fd`.
  explicit SharedFd(int fd);
  // One that lives as long as its owner.
  SharedFd(std::shared_ptr<const void> owner, int fd) : owner_(std::move(owner)), fd_(fd) {}
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  std::shared_ptr<const void> owner_;
  int fd_ = -1;
};

// What is to go with a call's request, or with its answer.
struct OutgoingAttachments {
  // A copy of `fd`, which stays the caller's.
  void AddFd(int fd);

  std::vector<Buffer> buffers;
  std::vector<SharedFd> fds;
  // Why a descriptor could not be copied; 0 if they all were.
  int fd_error = 0;
};

// What has come with it. Owns the descriptors that nobody takes.
class IncomingAttachments {
 public:
  IncomingAttachments() = default;
  IncomingAttachments(const IncomingAttachments&) = delete;
  IncomingAttachments& operator=(const IncomingAttachments&) = delete;
  virtual ~IncomingAttachments();

  const std::vector<Buffer>& buffers() const { return buffers_; }
  size_t fd_count() const { return fds_.size(); }
  // The `index`-th descriptor, which is the caller's from now on; -1 if there is none, or it was taken.
  int TakeFd(size_t index);

 protected:
  // A descriptor was taken.
  virtual void OnTaken() {}

  std::vector<Buffer> buffers_;
  std::vector<int> fds_;  // -1: taken
};

// Attaches to `to` what has come with `from`. The descriptors are taken.
void PassAttachments(CallAttachments* from, CallAttachments* to);

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_ATTACHMENTS_H_
