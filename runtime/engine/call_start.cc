#include "runtime/engine/call_start.h"

#include "absl/strings/str_cat.h"

namespace nearcall {

absl::Status ContextUsedTwice() {
  return absl::FailedPreconditionError("this ClientContext has served a call already: make one for each call");
}

absl::Status ChannelOfTheParent(const std::string& address) {
  return absl::FailedPreconditionError(absl::StrCat(
      "the channel to ", address, " was made before this process was forked and is its parent's: make a new one"));
}

}  // namespace nearcall
