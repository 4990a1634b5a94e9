#ifndef NEARCALL_RUNTIME_BASE_ERRNO_STATUS_H_
#define NEARCALL_RUNTIME_BASE_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace nearcall {

// The one place where an errno becomes a Status: the code that a caller can act on, and the text "WHAT: REASON". `what`
// names the thing that failed, the address or the path included.
absl::Status ErrnoStatus(int error, absl::string_view what);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_ERRNO_STATUS_H_
