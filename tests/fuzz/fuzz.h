#ifndef NEARCALL_TESTS_FUZZ_FUZZ_H_
#define NEARCALL_TESTS_FUZZ_FUZZ_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// What each target defines: one run with any bytes. It must not crash, hang or leak; what else must hold it checks.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace nearcall::testing {

// What is wrong is said and ends the program, in every build.
[[noreturn]] void FuzzFailure(const char* condition, const char* file, int line);
#define FUZZ_CHECK(condition)                          \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::nearcall::testing::FuzzFailure(#condition, __FILE__, __LINE__))

// Takes an input apart. When it is at its end there are zeros.
class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}

  bool empty() const { return at_ == end_; }
  uint64_t Number(size_t bytes);
  uint8_t Byte() { return static_cast<uint8_t>(Number(1)); }
  std::string Bytes(size_t size);
  std::string Rest() { return Bytes(static_cast<size_t>(end_ - at_)); }

 private:
  const uint8_t* at_;
  const uint8_t* const end_;
};

// The frames that an input of a session's target stands for. Its first byte says how to read what follows:
//   0         frames as they travel, sizes and all
//   otherwise records: one byte of length, then the header behind its size, and the payload; the size is filled in
// The second reading gets a mutator past the first check.
std::vector<std::string> FramesOf(const uint8_t* data, size_t size);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_FUZZ_FUZZ_H_
