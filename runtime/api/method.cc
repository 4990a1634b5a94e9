#include "nearcall/internal/method.h"

namespace nearcall {
namespace internal {

uint32_t Method::AssignNumber() const {
  static std::atomic<uint32_t> last{0};
  const uint32_t fresh = last.fetch_add(1, std::memory_order_relaxed) + 1;
  uint32_t expected = 0;
  // Two threads may come here at once: the first one's number counts, the other's is lost.
  return number_.compare_exchange_strong(expected, fresh, std::memory_order_relaxed) ? fresh : expected;
}

}  // namespace internal
}  // namespace nearcall
