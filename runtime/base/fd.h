#ifndef NEARCALL_RUNTIME_BASE_FD_H_
#define NEARCALL_RUNTIME_BASE_FD_H_

#include <unistd.h>

#include <utility>

namespace nearcall {

// Owns a file descriptor; closes it.
//
// Threads: thread-compatible.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_FD_H_
