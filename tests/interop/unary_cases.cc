// One request, one response.

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "protos/testing/interop/test.nearcall.h"
#include "tests/interop/cases.h"
#include "tests/interop/checks.h"

namespace nearcall::interop {
namespace {

using grpc::testing::TestService;

absl::Status EmptyUnary(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  grpc::testing::Empty response;
  const absl::Status status =
      TestService::NewStub(channel)->EmptyCall(&context, grpc::testing::Empty::default_instance(), &response);
  INTEROP_RETURN_IF_ERROR(ExpectOk("EmptyCall", status));
  return ExpectEqual("bytes of the response", size_t{0}, response.ByteSizeLong());
}

absl::Status LargeUnary(const std::shared_ptr<Channel>& channel, const CaseOptions& options) {
  ClientContext context;
  return CallLargeUnary(channel, &context, options);
}

// Without a cache in between each answer is a new one. (gRPC's case of this name has one.)
absl::Status CacheableUnary(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  const auto stub = TestService::NewStub(channel);
  grpc::testing::SimpleResponse responses[2];
  for (grpc::testing::SimpleResponse& response : responses) {
    ClientContext context;
    context.AddMetadata("x-user-ip", "1.2.3.4");
    const absl::Status status =
        stub->CacheableUnaryCall(&context, grpc::testing::SimpleRequest::default_instance(), &response);
    INTEROP_RETURN_IF_ERROR(ExpectOk("CacheableUnaryCall", status));
    INTEROP_RETURN_IF_ERROR(ExpectEqual("cache-control", "max-age=60, public",
                                        context.GetServerInitialMetadata().Get("cache-control").value_or("(none)")));
  }
  if (responses[0].payload().body() != responses[1].payload().body()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("two calls: expected an answer to each, got twice the one of ", responses[0].payload().body()));
}

constexpr char kInitialKey[] = "x-grpc-test-echo-initial";
constexpr char kTrailingKey[] = "x-grpc-test-echo-trailing-bin";
constexpr char kInitialValue[] = "test_initial_metadata_value";
constexpr char kTrailingValue[] = "\xab\xab\xab";

absl::Status CheckEchoedMetadata(absl::string_view what, const ClientContext& context) {
  INTEROP_RETURN_IF_ERROR(ExpectEqual(absl::StrCat(what, ": ", kInitialKey), kInitialValue,
                                      context.GetServerInitialMetadata().Get(kInitialKey).value_or("(none)")));
  return ExpectEqual(absl::StrCat(what, ": ", kTrailingKey, ", in hexadecimal"), absl::BytesToHexString(kTrailingValue),
                     absl::BytesToHexString(context.GetServerTrailingMetadata().Get(kTrailingKey).value_or("(none)")));
}

absl::Status CustomMetadata(const std::shared_ptr<Channel>& channel, const CaseOptions& options) {
  {
    ClientContext context;
    context.AddMetadata(kInitialKey, kInitialValue);
    context.AddMetadata(kTrailingKey, kTrailingValue);
    INTEROP_RETURN_IF_ERROR(CallLargeUnary(channel, &context, options));
    INTEROP_RETURN_IF_ERROR(CheckEchoedMetadata("UnaryCall", context));
  }
  ClientContext context;
  context.AddMetadata(kInitialKey, kInitialValue);
  context.AddMetadata(kTrailingKey, kTrailingValue);
  const auto stream = TestService::NewStub(channel)->FullDuplexCall(&context);
  if (!stream->Write(StreamRequest(options.large_request_bytes, options.large_response_bytes)) ||
      !stream->WritesDone()) {
    return ExpectOk("FullDuplexCall, writing", stream->Finish());
  }
  grpc::testing::StreamingOutputCallResponse response;
  if (!stream->Read(&response)) return ExpectOk("FullDuplexCall, reading", stream->Finish());
  INTEROP_RETURN_IF_ERROR(ExpectZeros("FullDuplexCall", options.large_response_bytes, response.payload()));
  INTEROP_RETURN_IF_ERROR(ExpectEqual("FullDuplexCall, a second response", false, stream->Read(&response)));
  INTEROP_RETURN_IF_ERROR(ExpectOk("FullDuplexCall", stream->Finish()));
  return CheckEchoedMetadata("FullDuplexCall", context);
}

}  // namespace

std::vector<Case> UnaryCases() {
  return {
      {"empty_unary", EmptyUnary},
      {"large_unary", LargeUnary},
      {"cacheable_unary", CacheableUnary},
      {"custom_metadata", CustomMetadata},
  };
}

}  // namespace nearcall::interop
