#include "runtime/wire/frame.h"

namespace nearcall {
const char* FrameErrorText(FrameError error) {
  switch (error) {
    case FrameError::kNone:
      return "no error";
    case FrameError::kSizeTooSmall:
      return "a frame smaller than its header";
    case FrameError::kSizeTooLarge:
      return "a frame larger than this connection carries";
    case FrameError::kUnknownKind:
      return "a frame of unknown kind";
    case FrameError::kBadFlags:
      return "a frame with flags that its kind does not have";
    case FrameError::kBadCall:
      return "a frame with a call number where none belongs, or without one";
    case FrameError::kBadHead:
      return "a frame whose head does not fit its payload";
    case FrameError::kBadDetail:
      return "a frame with a method number or status code out of range";
  }
  return "an unknown frame error";
}

}  // namespace nearcall
