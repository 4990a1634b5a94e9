#include "tests/interop/cases.h"

#include <cstring>
#include <string>

#include "absl/strings/escaping.h"
#include "protos/testing/interop/test.nearcall.h"
#include "tests/interop/checks.h"

namespace nearcall::interop {

const std::vector<Case>& AllCases() {
  static const auto* const cases = [] {
    auto* const all = new std::vector<Case>;
    for (const std::vector<Case>& some : {UnaryCases(), StreamingCases(), EndingCases(), LoadCases()}) {
      all->insert(all->end(), some.begin(), some.end());
    }
    return all;
  }();
  return *cases;
}

const Case* FindCase(absl::string_view name) {
  for (const Case& one : AllCases()) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

absl::Status ExpectOk(absl::string_view what, const absl::Status& got) {
  return ExpectCode(what, absl::StatusCode::kOk, got);
}

absl::Status ExpectCode(absl::string_view what, absl::StatusCode expected, const absl::Status& got) {
  if (got.code() == expected) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(what, ": expected ", absl::StatusCodeToString(expected), ", got ", got.ToString()));
}

absl::Status ExpectStatus(absl::string_view what, const absl::Status& expected, const absl::Status& got) {
  INTEROP_RETURN_IF_ERROR(ExpectCode(what, expected.code(), got));
  return ExpectEqual(absl::StrCat(what, ", its text"), absl::CHexEscape(expected.message()),
                     absl::CHexEscape(got.message()));
}

absl::Status ExpectZeros(absl::string_view what, int size, const grpc::testing::Payload& got) {
  INTEROP_RETURN_IF_ERROR(ExpectEqual(absl::StrCat(what, ", type"), int{grpc::testing::COMPRESSABLE}, int{got.type()}));
  INTEROP_RETURN_IF_ERROR(ExpectEqual(absl::StrCat(what, ", bytes"), static_cast<size_t>(size), got.body().size()));
  // Each byte like the next, and the first a zero: the soaks look at gigabytes.
  const std::string& body = got.body();
  if (body.empty() || (body[0] == '\0' && std::memcmp(body.data(), body.data() + 1, body.size() - 1) == 0)) {
    return absl::OkStatus();
  }
  const size_t at = body.find_first_not_of('\0');
  return absl::InternalError(
      absl::StrCat(what, ": expected zeros, got ", static_cast<unsigned char>(body[at]), " at byte ", at));
}

grpc::testing::Payload Zeros(int size) {
  grpc::testing::Payload payload;
  payload.set_body(std::string(static_cast<size_t>(size), '\0'));
  return payload;
}

grpc::testing::StreamingOutputCallRequest StreamRequest(int payload_size, int response_size) {
  grpc::testing::StreamingOutputCallRequest request;
  *request.mutable_payload() = Zeros(payload_size);
  if (response_size >= 0) request.add_response_parameters()->set_size(response_size);
  return request;
}

grpc::testing::SimpleRequest LargeRequest(const CaseOptions& options) {
  grpc::testing::SimpleRequest request;
  request.set_response_size(options.large_response_bytes);
  *request.mutable_payload() = Zeros(options.large_request_bytes);
  return request;
}

absl::Status CheckLargeResponse(const grpc::testing::SimpleResponse& response, const CaseOptions& options) {
  return ExpectZeros("the large response", options.large_response_bytes, response.payload());
}

absl::Status CallLargeUnary(const std::shared_ptr<Channel>& channel, ClientContext* context,
                            const CaseOptions& options) {
  grpc::testing::SimpleResponse response;
  const auto stub = grpc::testing::TestService::NewStub(channel);
  INTEROP_RETURN_IF_ERROR(ExpectOk("UnaryCall", stub->UnaryCall(context, LargeRequest(options), &response)));
  return CheckLargeResponse(response, options);
}

}  // namespace nearcall::interop
