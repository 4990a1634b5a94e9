// The heads of requests and responses: names, metadata, statuses. What is understood can be said again, and is the
// same.

#include <string>

#include "nearcall/metadata.h"
#include "runtime/engine/head.h"
#include "runtime/wire/frame.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > nearcall::kMaxHeadSize) return 0;
  const int code = data[0] % 17;
  ++data;
  --size;
  {
    std::string method;
    nearcall::Metadata metadata;
    if (nearcall::DecodeRequestHead(data, size, &method, &metadata)) {
      const absl::StatusOr<std::string> again = nearcall::EncodeRequestHead(method, metadata);
      if (again.ok()) {
        std::string method_again;
        nearcall::Metadata metadata_again;
        FUZZ_CHECK(nearcall::DecodeRequestHead(again->data(), again->size(), &method_again, &metadata_again));
        FUZZ_CHECK(method == method_again && metadata.size() == metadata_again.size());
      }
    }
  }
  absl::Status status;
  nearcall::Metadata initial, trailing;
  if (nearcall::DecodeResponseHead(data, size, code, &status, &initial, &trailing)) {
    FUZZ_CHECK(static_cast<int>(status.code()) == code);
    const std::string again = nearcall::EncodeResponseHead(status, initial, trailing);
    FUZZ_CHECK(again.size() <= nearcall::kMaxHeadSize);
    absl::Status status_again;
    nearcall::Metadata initial_again, trailing_again;
    FUZZ_CHECK(
        nearcall::DecodeResponseHead(again.data(), again.size(), code, &status_again, &initial_again, &trailing_again));
  }
  return 0;
}
