// What a handler says about how a call went.

#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

absl::Status Fail(TestService::StubInterface* stub, const FailRequest& request) {
  ClientContext context;
  Payload response;
  return stub->Fail(&context, request, &response);
}

TEST_P(Conformance, StatusCodesTravel) {
  StartServer();
  const Stub stub = Connect();
  for (int code = 0; code <= 16; ++code) {
    FailRequest request;
    request.set_code(code);
    request.set_message("because");
    const absl::Status status = Fail(stub.get(), request);
    EXPECT_EQ(static_cast<int>(status.code()), code) << status;
    EXPECT_EQ(status.message(), code == 0 ? "" : "because");
  }
}

TEST_P(Conformance, StatusMessagesTravel) {
  StartServer();
  const Stub stub = Connect();
  const std::vector<std::string> messages = {"",
                                             "plain",
                                             "Gr\xc3\xbc\xc3\x9f" "e, \xe4\xb8\x96\xe7\x95\x8c \xf0\x9f\x91\x8b",
                                             std::string("\0\n\r\t\x7f", 5),
                                             "\xff\xfe not UTF-8 \xc3\x28",
                                             std::string(1000, 'm'),
                                             std::string(7000, 'n')};
  for (const std::string& message : messages) {
    FailRequest request;
    request.set_code(9);
    request.set_message(message);
    const absl::Status status = Fail(stub.get(), request);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_EQ(status.message(), message);
  }
}

// What does not fit is cut, and the code survives.
TEST_P(Conformance, StatusMessagesThatAreTooLongAreCut) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {8000u, 8192u, 10'000u, 100'000u, 1'000'000u}) {
    FailRequest request;
    request.set_code(5);
    request.set_message(std::string(size, 'l'));
    const absl::Status status = Fail(stub.get(), request);
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << size;
    EXPECT_TRUE(absl::StartsWith(status.message(), std::string(7000, 'l'))) << size;
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, StatusPayloadsTravel) {
  StartServer();
  const Stub stub = Connect();
  FailRequest request;
  request.set_code(8);
  request.set_message("details follow");
  const std::vector<std::pair<std::string, std::string>> payloads = {
      {"type.googleapis.com/a.B", std::string("\0\1\2\xff", 4)}, {"other", ""}, {"third", std::string(2000, '3')}};
  for (const auto& [url, value] : payloads) {
    Pair* const pair = request.add_payloads();
    pair->set_key(url);
    pair->set_value(value);
  }
  const absl::Status status = Fail(stub.get(), request);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "details follow");
  int count = 0;
  status.ForEachPayload([&](absl::string_view, const absl::Cord&) { ++count; });
  EXPECT_EQ(count, 3);
  for (const auto& [url, value] : payloads) {
    const auto got = status.GetPayload(url);
    ASSERT_TRUE(got.has_value()) << url;
    EXPECT_EQ(std::string(*got), value);
  }
}

TEST_P(Conformance, StatusPayloadsThatAreTooLargeAreDropped) {
  StartServer();
  const Stub stub = Connect();
  FailRequest request;
  request.set_code(8);
  request.set_message("the text stays");
  request.add_payloads()->set_key("big");
  request.mutable_payloads(0)->set_value(std::string(20'000, 'b'));
  const absl::Status status = Fail(stub.get(), request);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StartsWith(status.message(), "the text stays")) << status;
}

TEST_P(Conformance, ExceptionsBecomeUnknown) {
  StartServer();
  const Stub stub = Connect();
  ThrowRequest request;
  EXPECT_EQ(stub->Throw(request).status().code(), absl::StatusCode::kUnknown);
  request.set_what("thrown on purpose");
  for (int i = 0; i < 10; ++i) {
    const absl::Status status = stub->Throw(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnknown);
    EXPECT_EQ(status.message(), "thrown on purpose");
  }
  ExpectServes(stub.get());
}

// A handler's own UNAVAILABLE was seen, so it is neither retried nor marked.
TEST_P(Conformance, AHandlersUnavailableIsNotRetried) {
  StartServer();
  const Stub stub = Connect();
  FailRequest request;
  request.set_code(14);
  const absl::Status status = Fail(stub.get(), request);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(SurelyNotSeen(status));
}

}  // namespace
}  // namespace nearcall::testing
