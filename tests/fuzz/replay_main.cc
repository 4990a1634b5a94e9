// Instead of libFuzzer, where the compiler has none: runs a target once with each file of its corpus, and with what is
// made of them. Files that begin with a 0 are frames as they travel: each of those is cut off at every byte, and has
// every bit of its header flipped; with --two every two bits of it.
//
//   replay [--two] FILE...

#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "runtime/wire/frame.h"
#include "tests/fuzz/fuzz.h"

namespace {

int runs = 0;

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
  ++runs;
}

void Flip(std::string* input, size_t at, size_t bit) {
  (*input)[at + bit / 8] = static_cast<char>((*input)[at + bit / 8] ^ (1 << bit % 8));
}

// The frame that begins at `at`, after the others as they are.
void Mutate(const std::string& input, size_t at, size_t size, bool two) {
  for (size_t cut = at; cut < at + size; ++cut) Run(input.substr(0, cut));
  constexpr size_t kBits = nearcall::kHeaderSize * 8;
  std::string mutant = input;
  for (size_t one = 0; one < kBits; ++one) {
    Flip(&mutant, at, one);
    Run(mutant);
    for (size_t other = one + 1; two && other < kBits; ++other) {
      Flip(&mutant, at, other);
      Run(mutant);
      Flip(&mutant, at, other);
    }
    Flip(&mutant, at, one);
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool two = false;
  int files = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--two") == 0) {
      two = true;
      continue;
    }
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      fprintf(stderr, "cannot read %s\n", argv[i]);
      return 1;
    }
    const std::string input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    Run(input);
    ++files;
    if (input.empty() || input[0] != 0) continue;
    for (size_t at = 1; at + nearcall::kHeaderSize <= input.size();) {
      const uint32_t size = nearcall::LoadHeader(input.data() + at).size;
      if (size < nearcall::kHeaderSize || size > input.size() - at) break;
      Mutate(input, at, size, two);
      at += size;
    }
  }
  printf("%d files, %d runs\n", files, runs);
  return files == 0 ? 1 : 0;
}
