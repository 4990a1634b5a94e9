// Sockets on which little goes through at a time. The functions of libc that the runtime reads and writes sockets with
// are defined here, in the executable, where the dynamic linker finds them before libc's; each asks the kernel by
// itself. Other descriptors (doorbells, files) are left in peace.
//
// What they do is what the kernel may do. Left out is EAGAIN for sendmsg: the first bytes on a new socket always find
// room.

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

#include "tests/faults/counts.h"
#include "tests/testing/fault.h"

namespace nearcall::testing {
namespace {

bool InForce() {
  static const bool in_force = FaultInForce() == Fault::kOneByte || FaultInForce() == Fault::kFewBytes;
  return in_force;
}

// Before main, for it may change the environment.
const bool seeded = InForce() && FaultSeed() != 0;

uint64_t Random() {
  static std::atomic<uint64_t> state{FaultSeed()};
  return NextRandom(state);
}

// One call in so many fails for no reason.
constexpr uint64_t kOneIn = 32;
// One call in so many lets more than one byte through, where that is allowed; up to so many bytes.
constexpr uint64_t kManyBytesOneIn = 200;
constexpr size_t kManyBytes = 32 * 1024;

bool Interrupted() {
  if (Random() % kOneIn != 0) return false;
  Count(counts.interruptions);
  errno = EINTR;
  return true;
}

// Only for what would not block.
bool Refused(int fd, int flags) {
  if (Random() % kOneIn != 0) return false;
  if ((flags & MSG_DONTWAIT) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0) return false;
  Count(counts.refusals);
  errno = EAGAIN;
  return true;
}

size_t Shorten(size_t size, std::atomic<int64_t>& one_bytes) {
  if (size == 0) return 0;
  if (FaultInForce() == Fault::kFewBytes && Random() % kManyBytesOneIn == 0) {
    return std::min<size_t>(size, 1 + Random() % kManyBytes);
  }
  Count(one_bytes);
  return 1;
}

bool IsSocket(int fd) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode);
}

// The first part of a message of which so little goes through.
struct ShortMessage {
  ShortMessage(const msghdr& whole, std::atomic<int64_t>& one_bytes) : header(whole) {
    size_t i = 0;
    while (i < whole.msg_iovlen && whole.msg_iov[i].iov_len == 0) ++i;
    if (i == whole.msg_iovlen) return;
    part = whole.msg_iov[i];
    part.iov_len = Shorten(part.iov_len, one_bytes);
    header.msg_iov = &part;
    header.msg_iovlen = 1;
  }
  msghdr header;
  iovec part{};
};

ssize_t Recv(int fd, void* buffer, size_t size, int flags) {
  if (InForce()) {
    if (Interrupted() || Refused(fd, flags)) return -1;
    size = Shorten(size, counts.one_byte_reads);
  }
  return syscall(SYS_recvfrom, fd, buffer, size, flags, nullptr, nullptr);
}

ssize_t Read(int fd, void* buffer, size_t size) {
  if (InForce() && IsSocket(fd)) {
    if (Interrupted() || Refused(fd, 0)) return -1;
    size = Shorten(size, counts.one_byte_reads);
  }
  return syscall(SYS_read, fd, buffer, size);
}

}  // namespace
}  // namespace nearcall::testing

using nearcall::testing::counts;

extern "C" {

ssize_t recv(int fd, void* buffer, size_t size, int flags) { return nearcall::testing::Recv(fd, buffer, size, flags); }

// What the compiler turns recv and read into where it knows the size of the buffer.
ssize_t __recv_chk(int fd, void* buffer, size_t size, size_t, int flags) {
  return nearcall::testing::Recv(fd, buffer, size, flags);
}
ssize_t __read_chk(int fd, void* buffer, size_t size, size_t) { return nearcall::testing::Read(fd, buffer, size); }

ssize_t read(int fd, void* buffer, size_t size) { return nearcall::testing::Read(fd, buffer, size); }

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (!nearcall::testing::InForce()) return syscall(SYS_recvmsg, fd, message, flags);
  if (nearcall::testing::Interrupted() || nearcall::testing::Refused(fd, flags)) return -1;
  nearcall::testing::ShortMessage less(*message, counts.one_byte_reads);
  const ssize_t got = syscall(SYS_recvmsg, fd, &less.header, flags);
  message->msg_namelen = less.header.msg_namelen;
  message->msg_controllen = less.header.msg_controllen;
  message->msg_flags = less.header.msg_flags;
  return got;
}

ssize_t send(int fd, const void* buffer, size_t size, int flags) {
  if (nearcall::testing::InForce()) {
    if (nearcall::testing::Interrupted() || nearcall::testing::Refused(fd, flags)) return -1;
    size = nearcall::testing::Shorten(size, counts.one_byte_writes);
  }
  return syscall(SYS_sendto, fd, buffer, size, flags, nullptr, 0);
}

ssize_t write(int fd, const void* buffer, size_t size) {
  if (nearcall::testing::InForce() && nearcall::testing::IsSocket(fd)) {
    if (nearcall::testing::Interrupted() || nearcall::testing::Refused(fd, 0)) return -1;
    size = nearcall::testing::Shorten(size, counts.one_byte_writes);
  }
  return syscall(SYS_write, fd, buffer, size);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (!nearcall::testing::InForce()) return syscall(SYS_sendmsg, fd, message, flags);
  if (nearcall::testing::Interrupted()) return -1;
  nearcall::testing::ShortMessage less(*message, counts.one_byte_writes);
  return syscall(SYS_sendmsg, fd, &less.header, flags);
}

}  // extern "C"
