#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/wire/frame.h"

namespace nearcall::testing {

void FuzzFailure(const char* condition, const char* file, int line) {
  fprintf(stderr, "%s:%d: not true: %s\n", file, line, condition);
  abort();
}

uint64_t FuzzInput::Number(size_t bytes) {
  uint64_t number = 0;
  const size_t there = std::min(bytes, static_cast<size_t>(end_ - at_));
  std::memcpy(&number, at_, there);
  at_ += there;
  return number;
}

std::string FuzzInput::Bytes(size_t size) {
  size = std::min(size, static_cast<size_t>(end_ - at_));
  std::string bytes(reinterpret_cast<const char*>(at_), size);
  at_ += size;
  return bytes;
}

std::vector<std::string> FramesOf(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  std::vector<std::string> frames;
  if (input.Byte() == 0) {
    std::string bytes = input.Rest();
    // Cut at what the headers say, as far as that makes sense.
    while (!bytes.empty()) {
      uint32_t frame = 0;
      std::memcpy(&frame, bytes.data(), std::min(bytes.size(), sizeof frame));
      const size_t cut = frame >= kHeaderSize && frame < bytes.size() ? frame : bytes.size();
      frames.push_back(bytes.substr(0, cut));
      bytes.erase(0, cut);
    }
    return frames;
  }
  while (!input.empty() && frames.size() < 200) {
    std::string frame = std::string(4, '\0') + input.Bytes(std::max<size_t>(input.Byte(), kHeaderSize - 4));
    frame.resize(std::max(frame.size(), kHeaderSize));
    const auto frame_size = static_cast<uint32_t>(frame.size());
    std::memcpy(frame.data(), &frame_size, sizeof frame_size);
    frames.push_back(std::move(frame));
  }
  return frames;
}

}  // namespace nearcall::testing
