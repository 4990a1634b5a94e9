#include "tests/death/failures.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "absl/strings/str_cat.h"

namespace nearcall::testing {
namespace {

std::atomic<int> target{0};
std::atomic<int> calls{0};
std::atomic<const char*> failed{nullptr};
std::atomic<int> failed_with{0};
std::atomic<const char*> doomed{nullptr};

// Whether this call is to fail; errno is set then.
bool Fails(const char* function, int error) {
  const char* const every = doomed.load();
  const bool chosen = target.load() != 0 && ++calls == target.load();
  if (!chosen && (every == nullptr || strcmp(every, function) != 0)) return false;
  failed = function;
  failed_with = error;
  errno = error;
  return true;
}

template <class Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

void FailNthSystemCall(int n) {
  target = 0;
  calls = 0;
  failed = nullptr;
  target = n;
}

void FailEvery(const std::string& function) {
  static std::string* const name = new std::string;
  doomed = nullptr;
  *name = function;
  if (!function.empty()) doomed = name->c_str();
}

int SystemCalls() { return calls; }

std::string FailedSystemCall() {
  const char* const function = failed;
  return function == nullptr ? "" : absl::StrCat(function, ": ", strerrorname_np(failed_with));
}

}  // namespace nearcall::testing

// What a child process of a test talks to its parent through (process.cc): the test's own.
constexpr int kControlFd = 3;

using nearcall::testing::Fails;
using nearcall::testing::Real;

// A function with the signature TYPE NAME(PARAMETERS), called with ARGUMENTS, that fails with ERROR.
#define FAILING(type, name, parameters, arguments, error)   \
  type name parameters {                                    \
    static auto* const real = Real<type parameters>(#name); \
    if (Fails(#name, error)) return static_cast<type>(-1);  \
    return real arguments;                                  \
  }

extern "C" {

FAILING(int, socket, (int domain, int kind, int protocol) noexcept, (domain, kind, protocol), EMFILE)
FAILING(int, accept4, (int fd, sockaddr* address, socklen_t* size, int flags), (fd, address, size, flags), EMFILE)
FAILING(int, bind, (int fd, const sockaddr* address, socklen_t size) noexcept, (fd, address, size), ENOMEM)
FAILING(int, listen, (int fd, int backlog) noexcept, (fd, backlog), ENOBUFS)
FAILING(int, connect, (int fd, const sockaddr* address, socklen_t size), (fd, address, size), ECONNREFUSED)
FAILING(int, getsockname, (int fd, sockaddr* address, socklen_t* size) noexcept, (fd, address, size), ENOBUFS)
FAILING(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags), ENOBUFS)
FAILING(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags), ENOMEM)
ssize_t send(int fd, const void* data, size_t size, int flags) {
  static auto* const real = Real<ssize_t(int, const void*, size_t, int)>("send");
  return fd != kControlFd && Fails("send", ENOBUFS) ? -1 : real(fd, data, size, flags);
}
ssize_t recv(int fd, void* data, size_t size, int flags) {
  static auto* const real = Real<ssize_t(int, void*, size_t, int)>("recv");
  return fd != kControlFd && Fails("recv", ENOMEM) ? -1 : real(fd, data, size, flags);
}
FAILING(int, pipe2, (int* ends, int flags) noexcept, (ends, flags), EMFILE)
FAILING(int, eventfd, (unsigned value, int flags) noexcept, (value, flags), EMFILE)
FAILING(int, epoll_create1, (int flags) noexcept, (flags), EMFILE)
FAILING(int, epoll_ctl, (int fd, int operation, int what, epoll_event* event) noexcept, (fd, operation, what, event),
        ENOMEM)
FAILING(int, epoll_pwait2, (int fd, epoll_event* events, int size, const timespec* timeout, const sigset_t* mask),
        (fd, events, size, timeout, mask), EINTR)
FAILING(int, poll, (pollfd * fds, nfds_t count, int timeout), (fds, count, timeout), EINTR)
FAILING(int, memfd_create, (const char* name, unsigned flags) noexcept, (name, flags), EMFILE)
FAILING(int, ftruncate, (int fd, off_t size) noexcept, (fd, size), ENOMEM)
FAILING(int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size), ENOSPC)
FAILING(int, madvise, (void* address, size_t size, int advice) noexcept, (address, size, advice), ENOMEM)
FAILING(ssize_t, readlink, (const char* path, char* text, size_t size) noexcept, (path, text, size), ENOMEM)

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  static auto* const real = Real<void*(void*, size_t, int, int, int, off_t)>("mmap");
  return Fails("mmap", ENOMEM) ? MAP_FAILED : real(address, size, protection, flags, fd, offset);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) noexcept {
  static auto* const real = Real<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  return Fails("pthread_create", EAGAIN) ? EAGAIN : real(thread, attributes, run, argument);
}

// Their last argument is an int or a pointer; both go through as a long.
int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  static auto* const real = Real<int(int, int, ...)>("fcntl");
  return command == F_DUPFD_CLOEXEC && Fails("fcntl", EMFILE) ? -1 : real(fd, command, argument);
}

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const long mode = va_arg(arguments, long);
  va_end(arguments);
  static auto* const real = Real<int(const char*, int, ...)>("open");
  return Fails("open", EMFILE) ? -1 : real(path, flags, mode);
}

}  // extern "C"
