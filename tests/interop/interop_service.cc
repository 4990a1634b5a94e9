#include "tests/interop/interop_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/testing/services.h"

namespace nearcall::interop {
namespace {

using grpc::testing::Empty;
using grpc::testing::SimpleRequest;
using grpc::testing::SimpleResponse;
using grpc::testing::StreamingInputCallRequest;
using grpc::testing::StreamingInputCallResponse;
using grpc::testing::StreamingOutputCallRequest;
using grpc::testing::StreamingOutputCallResponse;

const testing::ServiceRegistration registration([](testing::Form) -> std::unique_ptr<Service> {
  return std::make_unique<InteropService>();
});

void EchoMetadata(ServerContext* context) {
  constexpr char kInitial[] = "x-grpc-test-echo-initial";
  constexpr char kTrailing[] = "x-grpc-test-echo-trailing-bin";
  const Metadata& got = context->client_metadata();
  for (const absl::string_view value : got.GetAll(kInitial)) context->AddInitialMetadata(kInitial, value);
  for (const absl::string_view value : got.GetAll(kTrailing)) context->AddTrailingMetadata(kTrailing, value);
}

absl::Status CheckType(grpc::testing::PayloadType type) {
  if (type == grpc::testing::COMPRESSABLE) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("there is no payload of type ", static_cast<int>(type)));
}

absl::Status Fill(int size, grpc::testing::Payload* payload) {
  if (size < 0) return absl::InvalidArgumentError(absl::StrCat("a payload of ", size, " bytes"));
  payload->mutable_body()->assign(static_cast<size_t>(size), '\0');
  return absl::OkStatus();
}

// Of UnaryCall's request and of StreamingInputCall's.
template <class Request>
absl::Status CheckCompression(const Request& request) {
  if (!request.expect_compressed().value()) return absl::OkStatus();
  return absl::InvalidArgumentError("the request was to come compressed, and did not");
}

// The status that a request asks for.
template <class Request>
absl::Status StatusAskedFor(const Request& request) {
  const grpc::testing::EchoStatus& asked = request.response_status();
  return absl::Status(static_cast<absl::StatusCode>(asked.code()), asked.message());
}

// Nobody announces a cancellation to a handler that sleeps: it has to look.
void Pause(const ServerContext& context, absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  while (!context.IsCancelled() && absl::Now() < end) {
    absl::SleepFor(std::min(absl::Milliseconds(2), end - absl::Now()));
  }
}

// Sends the responses that one request asks for. ABORTED when nobody reads them any more.
template <class Writer>
absl::Status Respond(const ServerContext& context, const StreamingOutputCallRequest& request, Writer* writer) {
  if (absl::Status status = CheckType(request.response_type()); !status.ok()) return status;
  StreamingOutputCallResponse response;
  for (const grpc::testing::ResponseParameters& parameters : request.response_parameters()) {
    if (parameters.interval_us() > 0) Pause(context, absl::Microseconds(parameters.interval_us()));
    if (absl::Status status = Fill(parameters.size(), response.mutable_payload()); !status.ok()) return status;
    if (!writer->Write(response)) return absl::AbortedError("the reader is gone");
  }
  return StatusAskedFor(request);
}

}  // namespace

absl::Status InteropService::EmptyCall(ServerContext* context, const Empty*, Empty*) {
  EchoMetadata(context);
  return absl::OkStatus();
}

absl::Status InteropService::UnaryCall(ServerContext* context, const SimpleRequest* request, SimpleResponse* response) {
  EchoMetadata(context);
  if (absl::Status status = CheckCompression(*request); !status.ok()) return status;
  if (absl::Status status = CheckType(request->response_type()); !status.ok()) return status;
  if (absl::Status status = Fill(request->response_size(), response->mutable_payload()); !status.ok()) return status;
  return StatusAskedFor(*request);
}

absl::Status InteropService::CacheableUnaryCall(ServerContext* context, const SimpleRequest*,
                                                SimpleResponse* response) {
  EchoMetadata(context);
  context->AddInitialMetadata("cache-control", "max-age=60, public");
  response->mutable_payload()->set_body(absl::StrCat(absl::GetCurrentTimeNanos()));
  return absl::OkStatus();
}

absl::Status InteropService::StreamingOutputCall(ServerContext* context, const StreamingOutputCallRequest* request,
                                                 ServerWriter<StreamingOutputCallResponse>* writer) {
  EchoMetadata(context);
  return Respond(*context, *request, writer);
}

absl::Status InteropService::StreamingInputCall(ServerContext* context, ServerReader<StreamingInputCallRequest>* reader,
                                                StreamingInputCallResponse* response) {
  EchoMetadata(context);
  StreamingInputCallRequest request;
  size_t sum = 0;
  while (reader->Read(&request)) {
    if (absl::Status status = CheckCompression(request); !status.ok()) return status;
    sum += request.payload().body().size();
  }
  response->set_aggregated_payload_size(static_cast<int>(sum));
  return absl::OkStatus();
}

absl::Status InteropService::FullDuplexCall(
    ServerContext* context, ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) {
  EchoMetadata(context);
  StreamingOutputCallRequest request;
  while (stream->Read(&request)) {
    if (absl::Status status = Respond(*context, request, stream); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status InteropService::HalfDuplexCall(
    ServerContext* context, ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream) {
  EchoMetadata(context);
  std::vector<StreamingOutputCallRequest> requests(1);
  while (stream->Read(&requests.back())) requests.emplace_back();
  requests.pop_back();
  for (const StreamingOutputCallRequest& request : requests) {
    if (absl::Status status = Respond(*context, request, stream); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace nearcall::interop
