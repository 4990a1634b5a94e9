#include "tests/testing/attached.h"

#include <sys/mman.h>

#include "gtest/gtest.h"

namespace nearcall::testing {

void FillWithPattern(const Buffer& buffer) {
  uint8_t* const data = buffer.mutable_data();
  for (size_t i = 0; i < buffer.size(); ++i) data[i] = PatternAt(i);
}

bool HasPattern(const Buffer& buffer) {
  for (size_t i = 0; i < buffer.size(); ++i) {
    if (buffer.data()[i] != PatternAt(i)) return false;
  }
  return true;
}

Fd FileWith(absl::string_view text) {
  Fd fd(memfd_create("attached", MFD_CLOEXEC));
  EXPECT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return fd;
}

std::string TextIn(int fd) {
  char text[100];
  const ssize_t size = pread(fd, text, sizeof text, 0);
  return size < 0 ? "(cannot be read)" : std::string(text, static_cast<size_t>(size));
}

}  // namespace nearcall::testing
