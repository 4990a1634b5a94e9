// One copy of the payload, in one process.

#include <cstring>
#include <vector>

#include "benchmarks/floors/floors.h"

namespace nearcall::benchmarks {
namespace {

class Memcpy final : public Floor {
 public:
  void Serve(const Round&) override {}
  Sample Drive(const Round& round) override {
    const std::vector<char> from(round.size(), 'x');
    std::vector<char> to(round.size());
    return Repeat(round, [&] {
      memcpy(to.data(), from.data(), from.size());
      asm volatile("" : : "r"(to.data()) : "memory");  // or else the copy would be optimised away
    });
  }
};

}  // namespace

std::unique_ptr<Floor> NewMemcpy() { return std::make_unique<Memcpy>(); }

}  // namespace nearcall::benchmarks
