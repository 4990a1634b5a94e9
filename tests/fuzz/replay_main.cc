// Instead of libFuzzer, where the compiler has none: runs a target once with each file of its corpus, and with what is
// made of them. Files that begin with a 0 are frames as they travel: each of those is cut off at every byte, and has
// every bit of its header flipped; with --flips=2 every two bits of it, with --flips=0 neither.
//
// With --seconds=N it then goes on for so long with random changes to the files: a blind fuzzer, for want of a better.
//
//   replay [--flips=N] [--seconds=N] FILE...

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
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

// A file of the corpus with some bytes changed, cut out, doubled, or replaced by another file's.
std::string Mutant(const std::vector<std::string>& corpus, std::mt19937* generator) {
  const auto random = [generator](size_t below) { return below == 0 ? 0 : (*generator)() % below; };
  std::string input = corpus[random(corpus.size())];
  for (size_t changes = 1 + random(6); changes > 0; --changes) {
    const size_t at = random(input.size() + 1);
    const size_t length = random(std::min<size_t>(input.size() - at, 40) + 1);
    const std::string& other = corpus[random(corpus.size())];
    constexpr uint32_t kNumbers[] = {0,    1,       15,      16,         0x7f,       0x80,
                                     0xff, 0x10000, 0x10001, 0x7fffffff, 0x80000000, 0xffffffff};
    switch (random(6)) {
      case 0:
        if (at < input.size()) Flip(&input, at, random(8));
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(random(256));
        break;
      case 2:
        if (at + 4 <= input.size()) std::memcpy(&input[at], &kNumbers[random(std::size(kNumbers))], 4);
        break;
      case 3:
        input.erase(at, length);
        break;
      case 4:
        input.insert(at, input.substr(at, length));
        break;
      default:
        input.insert(at, other.substr(random(other.size() + 1), 100));
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  int flips = 1;
  int seconds = 0;
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    if (std::sscanf(argv[i], "--flips=%d", &flips) == 1 || std::sscanf(argv[i], "--seconds=%d", &seconds) == 1)
      continue;
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      fprintf(stderr, "cannot read %s\n", argv[i]);
      return 1;
    }
    const std::string input((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    Run(input);
    corpus.push_back(input);
    if (flips == 0 || input.empty() || input[0] != 0) continue;
    for (size_t at = 1; at + nearcall::kHeaderSize <= input.size();) {
      const uint32_t size = nearcall::LoadHeader(input.data() + at).size;
      if (size < nearcall::kHeaderSize || size > input.size() - at) break;
      Mutate(input, at, size, flips == 2);
      at += size;
    }
  }
  std::mt19937 generator(std::random_device{}());
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!corpus.empty() && std::chrono::steady_clock::now() < end) Run(Mutant(corpus, &generator));
  printf("%zu files, %d runs\n", corpus.size(), runs);
  return corpus.empty() ? 1 : 0;
}
