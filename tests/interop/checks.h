#ifndef NEARCALL_TESTS_INTEROP_CHECKS_H_
#define NEARCALL_TESTS_INTEROP_CHECKS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "protos/testing/interop/messages.pb.h"
#include "tests/interop/cases.h"

// What the cases look at. Each check is OK, or an INTERNAL that names what was expected and what came.
namespace nearcall::interop {

#define INTEROP_RETURN_IF_ERROR(expression)                           \
  do {                                                                \
    if (absl::Status check = (expression); !check.ok()) return check; \
  } while (false)

template <class T, class U>
absl::Status ExpectEqual(absl::string_view what, const T& expected, const U& got) {
  if (got == expected) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(what, ": expected ", expected, ", got ", got));
}

// That a call succeeded.
absl::Status ExpectOk(absl::string_view what, const absl::Status& got);
absl::Status ExpectCode(absl::string_view what, absl::StatusCode expected, const absl::Status& got);
// The code and the text, every byte of it.
absl::Status ExpectStatus(absl::string_view what, const absl::Status& expected, const absl::Status& got);
// That a payload is so many zeros.
absl::Status ExpectZeros(absl::string_view what, int size, const grpc::testing::Payload& got);

// So many zeros.
grpc::testing::Payload Zeros(int size);
// A stream's request with a payload, for one response; for none if that is negative.
grpc::testing::StreamingOutputCallRequest StreamRequest(int payload_size, int response_size);
// The large unary call: its request, a look at its response, and both.
grpc::testing::SimpleRequest LargeRequest(const CaseOptions& options);
absl::Status CheckLargeResponse(const grpc::testing::SimpleResponse& response, const CaseOptions& options);
absl::Status CallLargeUnary(const std::shared_ptr<Channel>& channel, ClientContext* context,
                            const CaseOptions& options);

}  // namespace nearcall::interop

#endif  // NEARCALL_TESTS_INTEROP_CHECKS_H_
