// Calls that end otherwise than with OK: by the handler's word, for want of a handler, by the caller, by the clock.

#include <string>

#include "protos/testing/interop/test.nearcall.h"
#include "tests/interop/cases.h"
#include "tests/interop/checks.h"

namespace nearcall::interop {
namespace {

using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using grpc::testing::TestService;

void AskFor(const absl::Status& status, grpc::testing::EchoStatus* echo) {
  echo->set_code(static_cast<int>(status.code()));
  echo->set_message(std::string(status.message()));
}

absl::Status CallUnaryForStatus(const std::shared_ptr<Channel>& channel, const absl::Status& asked) {
  grpc::testing::SimpleRequest request;
  AskFor(asked, request.mutable_response_status());
  ClientContext context;
  grpc::testing::SimpleResponse response;
  return ExpectStatus("UnaryCall", asked, TestService::NewStub(channel)->UnaryCall(&context, request, &response));
}

absl::Status StatusCodeAndMessage(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  const absl::Status asked = absl::UnknownError("test status message");
  INTEROP_RETURN_IF_ERROR(CallUnaryForStatus(channel, asked));

  StreamingOutputCallRequest request;
  AskFor(asked, request.mutable_response_status());
  ClientContext context;
  const auto stream = TestService::NewStub(channel)->FullDuplexCall(&context);
  stream->Write(request);
  // The server may have ended the call before it hears of this.
  stream->WritesDone();
  StreamingOutputCallResponse response;
  INTEROP_RETURN_IF_ERROR(ExpectEqual("FullDuplexCall, a response", false, stream->Read(&response)));
  return ExpectStatus("FullDuplexCall", asked, stream->Finish());
}

absl::Status SpecialStatusMessage(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  return CallUnaryForStatus(
      channel, absl::UnknownError("\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"));
}

absl::Status UnimplementedMethod(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  const absl::Status status =
      TestService::NewStub(channel)->UnimplementedCall(grpc::testing::Empty::default_instance()).status();
  return ExpectCode("TestService.UnimplementedCall", absl::StatusCode::kUnimplemented, status);
}

absl::Status UnimplementedService(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  const absl::Status status = grpc::testing::UnimplementedService::NewStub(channel)
                                  ->UnimplementedCall(grpc::testing::Empty::default_instance())
                                  .status();
  return ExpectCode("UnimplementedService.UnimplementedCall", absl::StatusCode::kUnimplemented, status);
}

absl::Status CancelAfterBegin(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  grpc::testing::StreamingInputCallResponse response;
  const auto writer = TestService::NewStub(channel)->StreamingInputCall(&context, &response);
  context.TryCancel();
  return ExpectCode("StreamingInputCall", absl::StatusCode::kCancelled, writer->Finish());
}

absl::Status CancelAfterFirstResponse(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  const auto stream = TestService::NewStub(channel)->FullDuplexCall(&context);
  StreamingOutputCallResponse response;
  if (!stream->Write(StreamRequest(27182, 31415)) || !stream->Read(&response)) {
    return ExpectOk("FullDuplexCall, the first response", stream->Finish());
  }
  INTEROP_RETURN_IF_ERROR(ExpectZeros("the first response", 31415, response.payload()));
  context.TryCancel();
  INTEROP_RETURN_IF_ERROR(ExpectEqual("a second response", false, stream->Read(&response)));
  return ExpectCode("FullDuplexCall", absl::StatusCode::kCancelled, stream->Finish());
}

absl::Status TimeoutOnSleepingServer(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(1));
  const auto stream = TestService::NewStub(channel)->FullDuplexCall(&context);
  // Fails when the time is over already.
  stream->Write(StreamRequest(27182, -1));
  // The server waits for the next request, which does not come.
  StreamingOutputCallResponse response;
  INTEROP_RETURN_IF_ERROR(ExpectEqual("a response", false, stream->Read(&response)));
  return ExpectCode("FullDuplexCall", absl::StatusCode::kDeadlineExceeded, stream->Finish());
}

}  // namespace

std::vector<Case> EndingCases() {
  return {
      {"status_code_and_message", StatusCodeAndMessage},
      {"special_status_message", SpecialStatusMessage},
      {"unimplemented_method", UnimplementedMethod},
      {"unimplemented_service", UnimplementedService},
      {"cancel_after_begin", CancelAfterBegin},
      {"cancel_after_first_response", CancelAfterFirstResponse},
      {"timeout_on_sleeping_server", TimeoutOnSleepingServer},
  };
}

}  // namespace nearcall::interop
