#ifndef NEARCALL_RUNTIME_ENGINE_HEAD_H_
#define NEARCALL_RUNTIME_ENGINE_HEAD_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nearcall/metadata.h"

namespace nearcall {

// The heads of request and response frames: what travels beside the messages, and not in every call (PROTOCOL.md).

// INVALID_ARGUMENT names the first pair that may not travel, and why.
absl::Status CheckMetadata(const Metadata& metadata);

// INVALID_ARGUMENT: no method can have this name.
absl::Status CheckMethodName(absl::string_view name);

// `method` empty: the number in the frame says it. RESOURCE_EXHAUSTED when the head is larger than any frame carries,
// INVALID_ARGUMENT as CheckMethodName.
absl::StatusOr<std::string> EncodeRequestHead(absl::string_view method, const Metadata& metadata);
// False when the bytes are no such head, or hold metadata or a name that may not travel.
bool DecodeRequestHead(const void* data, size_t size, std::string* method, Metadata* metadata);

// The head of a response that ends with `status`; empty when there is nothing to say. What does not fit is left out,
// the metadata first and the text last, and the text then says so.
std::string EncodeResponseHead(const absl::Status& status, const Metadata& initial, const Metadata& trailing);
// Fills *status (from `code` and the head) and the metadata. False when the bytes are no such head.
bool DecodeResponseHead(const void* data, size_t size, int code, absl::Status* status, Metadata* initial,
                        Metadata* trailing);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_ENGINE_HEAD_H_
