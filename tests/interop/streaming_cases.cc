// Streams that end well.

#include "protos/testing/interop/test.nearcall.h"
#include "tests/interop/cases.h"
#include "tests/interop/checks.h"

namespace nearcall::interop {
namespace {

using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;
using grpc::testing::TestService;

constexpr int kRequestSizes[] = {27182, 8, 1828, 45904};
constexpr int kResponseSizes[] = {31415, 9, 2653, 58979};

// Where a Write or a Read failed: what Finish says, or that it should have said something.
template <class Stream>
absl::Status Broken(absl::string_view what, Stream* stream) {
  INTEROP_RETURN_IF_ERROR(ExpectOk(what, stream->Finish()));
  return absl::InternalError(absl::StrCat(what, ": expected a message to go through, got the end of the stream"));
}

// Reads the responses of all those sizes and the end.
template <class Stream>
absl::Status ReadAll(Stream* stream) {
  StreamingOutputCallResponse response;
  for (const int size : kResponseSizes) {
    if (!stream->Read(&response)) return Broken("reading", stream);
    INTEROP_RETURN_IF_ERROR(ExpectZeros("a response", size, response.payload()));
  }
  INTEROP_RETURN_IF_ERROR(ExpectEqual("one response more", false, stream->Read(&response)));
  return ExpectOk("the stream", stream->Finish());
}

absl::Status ClientStreaming(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  grpc::testing::StreamingInputCallResponse response;
  const auto writer = TestService::NewStub(channel)->StreamingInputCall(&context, &response);
  for (const int size : kRequestSizes) {
    grpc::testing::StreamingInputCallRequest request;
    *request.mutable_payload() = Zeros(size);
    if (!writer->Write(request)) return Broken("writing", writer.get());
  }
  if (!writer->WritesDone()) return Broken("half-closing", writer.get());
  INTEROP_RETURN_IF_ERROR(ExpectOk("the stream", writer->Finish()));
  return ExpectEqual("aggregated_payload_size", 74922, response.aggregated_payload_size());
}

absl::Status ServerStreaming(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  StreamingOutputCallRequest request;
  for (const int size : kResponseSizes) request.add_response_parameters()->set_size(size);
  ClientContext context;
  return ReadAll(TestService::NewStub(channel)->StreamingOutputCall(&context, request).get());
}

absl::Status PingPong(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  const auto stream = TestService::NewStub(channel)->FullDuplexCall(&context);
  StreamingOutputCallResponse response;
  for (int i = 0; i < 4; ++i) {
    if (!stream->Write(StreamRequest(kRequestSizes[i], kResponseSizes[i]))) return Broken("writing", stream.get());
    if (!stream->Read(&response)) return Broken("reading", stream.get());
    INTEROP_RETURN_IF_ERROR(ExpectZeros("a response", kResponseSizes[i], response.payload()));
  }
  if (!stream->WritesDone()) return Broken("half-closing", stream.get());
  INTEROP_RETURN_IF_ERROR(ExpectEqual("a fifth response", false, stream->Read(&response)));
  return ExpectOk("the stream", stream->Finish());
}

absl::Status HalfDuplex(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  const auto stream = TestService::NewStub(channel)->HalfDuplexCall(&context);
  for (int i = 0; i < 4; ++i) {
    if (!stream->Write(StreamRequest(kRequestSizes[i], kResponseSizes[i]))) return Broken("writing", stream.get());
  }
  if (!stream->WritesDone()) return Broken("half-closing", stream.get());
  return ReadAll(stream.get());
}

absl::Status EmptyStream(const std::shared_ptr<Channel>& channel, const CaseOptions&) {
  ClientContext context;
  const auto stream = TestService::NewStub(channel)->FullDuplexCall(&context);
  if (!stream->WritesDone()) return Broken("half-closing", stream.get());
  StreamingOutputCallResponse response;
  INTEROP_RETURN_IF_ERROR(ExpectEqual("a response", false, stream->Read(&response)));
  return ExpectOk("the stream", stream->Finish());
}

}  // namespace

std::vector<Case> StreamingCases() {
  return {
      {"client_streaming", ClientStreaming}, {"server_streaming", ServerStreaming}, {"ping_pong", PingPong},
      {"half_duplex", HalfDuplex},           {"empty_stream", EmptyStream},
  };
}

}  // namespace nearcall::interop
