// Tells ThreadSanitizer about the references to an absl::Status. They are
// counted up in the header's code, which the sanitizer sees, but counted down
// in the system's libabsl_status, which is not instrumented: that the last
// reference is freed would be reported as a race with whoever has read another
// one before. The definition here comes before the library's at run time and
// does the same.
//
// Part of @com_google_absl//absl/status where -fsanitize=thread is on, and
// nowhere else.

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"

static_assert(ABSL_LTS_RELEASE_VERSION <= 20220623,
              "later releases count references in another class");

namespace absl {
ABSL_NAMESPACE_BEGIN

void Status::UnrefNonInlined(uintptr_t rep) {
  status_internal::StatusRep* const counted = RepToPointer(rep);
  if (counted->ref.fetch_sub(1, std::memory_order_acq_rel) == 1) delete counted;
}

ABSL_NAMESPACE_END
}  // namespace absl
