#ifndef NEARCALL_CALL_ATTACHMENTS_H_
#define NEARCALL_CALL_ATTACHMENTS_H_

#include <cstddef>
#include <memory>
#include <vector>

#include "nearcall/buffer.h"

namespace nearcall {
namespace internal {
class AttachmentsAccess;
class IncomingAttachments;
struct OutgoingAttachments;
}  // namespace internal

// The buffers (nearcall/buffer.h) and file descriptors that travel beside the messages of a call; part of both sides'
// contexts. A ClientContext sends them with the request, and has received them with the answer once the call is over. A
// ServerContext has received them with the request, and sends them with the answer: the status and, if there is one,
// the last message.
//
// Threads: thread-compatible, as the contexts are.
class CallAttachments {
 public:
  // Sends `buffer`. At most 64 attachments go with a call each way; over `grpc:` none.
  void Attach(Buffer buffer);
  // Sends a copy of the file descriptor `fd`, which stays the caller's. Over shm and unix; elsewhere the call fails
  // with FAILED_PRECONDITION.
  void AttachFd(int fd);

  // What has come. A ServerContext has it until its handler returns, or its reactor calls Finish: then the caller is
  // given back what nobody holds a handle of. Until then the reference is good.
  const std::vector<Buffer>& attachments() const;
  size_t attached_fd_count() const;
  // The `index`-th file descriptor, which is the caller's from now on; -1 if there is none, or it was taken before.
  // Those that nobody takes are closed: with a ClientContext, or when the handler of a ServerContext returns or its
  // reactor calls Finish.
  int TakeAttachedFd(size_t index);

 protected:
  CallAttachments() = default;
  ~CallAttachments() = default;

 private:
  friend class internal::AttachmentsAccess;

  std::shared_ptr<internal::OutgoingAttachments> outgoing_;  // nullptr: none
  std::shared_ptr<internal::IncomingAttachments> incoming_;
};

}  // namespace nearcall

#endif  // NEARCALL_CALL_ATTACHMENTS_H_
