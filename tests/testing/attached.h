#ifndef NEARCALL_TESTS_TESTING_ATTACHED_H_
#define NEARCALL_TESTS_TESTING_ATTACHED_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "nearcall/buffer.h"
#include "runtime/base/fd.h"

namespace nearcall::testing {

// What tests attach to calls, and how they know it again.

// Bytes that all differ from their neighbours, so that a misplaced one shows.
inline uint8_t PatternAt(size_t index) { return static_cast<uint8_t>(index * 31 + index / 251); }
void FillWithPattern(const Buffer& buffer);
bool HasPattern(const Buffer& buffer);

// A file without a name that holds `text`.
Fd FileWith(absl::string_view text);
// What the file holds.
std::string TextIn(int fd);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_ATTACHED_H_
