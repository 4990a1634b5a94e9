#ifndef NEARCALL_RUNTIME_BASE_FD_PASSING_H_
#define NEARCALL_RUNTIME_BASE_FD_PASSING_H_

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "runtime/base/fd.h"

namespace nearcall {

// Descriptors that travel over a Unix socket (SCM_RIGHTS). Neither function blocks; both go on after EINTR.

// More go with no message of ours. What a peer sends beyond it does not fit our buffer, and the kernel closes it.
inline constexpr size_t kMaxPassedFds = 4;

// sendmsg of `size` bytes with `count` descriptors, which go with the first byte; copies: the caller's stay open. What
// sendmsg says; no SIGPIPE.
ssize_t SendBytesAndFds(int socket, const void* bytes, size_t size, const int* fds, size_t count);

// recvmsg of up to `size` bytes and `max_fds` descriptors, which are added to *fds with the flag O_CLOEXEC, whatever is
// returned otherwise. *truncated is set when some were lost: more were sent, or this process has too many open.
ssize_t ReceiveBytesAndFds(int socket, void* bytes, size_t size, size_t max_fds, std::vector<Fd>* fds, bool* truncated);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_FD_PASSING_H_
