// Details of errors, and their form as google.rpc.Status.

#include "nearcall/status_details.h"

#include <string>

#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/timestamp.pb.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/features.nearcall.h"

namespace nearcall::testing {
namespace {

using google::protobuf::Any;
using google::protobuf::Duration;
using google::protobuf::Empty;
using google::protobuf::Timestamp;

absl::Status WithDetails() {
  absl::Status status = absl::ResourceExhaustedError("come again");
  Duration wait;
  wait.set_seconds(7);
  SetDetail(&status, wait);
  wait.set_seconds(8);
  SetDetail(&status, wait);  // in its place
  Timestamp since;
  since.set_nanos(9);
  SetDetail(&status, since);
  return status;
}

void ExpectDetails(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "come again");
  Duration wait;
  ASSERT_TRUE(GetDetail(status, &wait));
  EXPECT_EQ(wait.seconds(), 8);
  Timestamp since;
  ASSERT_TRUE(GetDetail(status, &since));
  EXPECT_EQ(since.nanos(), 9);
  Any none;
  EXPECT_FALSE(GetDetail(status, &none));
}

TEST(StatusDetails, AreThePayloads) {
  ExpectDetails(WithDetails());
  EXPECT_EQ(DetailTypeUrl<Duration>(), "type.googleapis.com/google.protobuf.Duration");
}

TEST(StatusDetails, TravelToTheCaller) {
  class Implementation final : public Features::Service {
    absl::Status Release(ServerContext*, const Empty*, Empty*) override { return WithDetails(); }
  };
  Implementation service;
  ServerBuilder builder;
  builder.AddListeningPort("inproc:details").RegisterService(&service);
  const absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  ASSERT_EQ(server.status(), absl::OkStatus());
  ExpectDetails(Features::NewStub(CreateChannel("inproc:details"))->Release(Empty()).status());
}

TEST(StatusDetails, RoundTripAsRpcStatus) {
  absl::Status status;
  ASSERT_EQ(DecodeRpcStatus(EncodeRpcStatus(WithDetails()), &status), absl::OkStatus());
  ExpectDetails(status);
  ASSERT_EQ(DecodeRpcStatus(EncodeRpcStatus(absl::OkStatus()), &status), absl::OkStatus());
  EXPECT_EQ(status, absl::OkStatus());
}

TEST(StatusDetails, RpcStatusIsProtobufs) {
  // code: 5, message: "m", details: { type_url: "t/x" value: "v" }, an unknown field 15 of bytes
  const std::string bytes = std::string("\x08\x05\x12\x01m\x1a\x08\x0a\x03t/x\x12\x01v\x7a\x02zz", 19);
  absl::Status status;
  ASSERT_EQ(DecodeRpcStatus(bytes, &status), absl::OkStatus());
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "m");
  EXPECT_EQ(status.GetPayload("t/x"), absl::Cord("v"));
  EXPECT_EQ(EncodeRpcStatus(status), bytes.substr(0, 15));
}

TEST(StatusDetails, RpcStatusOfAnyBytes) {
  static int lines = 0;
  auto* const before = google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel, const char*, int, const std::string&) { ++lines; });
  absl::Status sent(absl::StatusCode::kAborted, "\xff\n"), status;
  sent.SetPayload("\xfe", absl::Cord("\xfd"));
  ASSERT_EQ(DecodeRpcStatus(EncodeRpcStatus(sent), &status), absl::OkStatus());
  EXPECT_EQ(status, sent);
  google::protobuf::SetLogHandler(before);
  EXPECT_EQ(lines, 0) << "lines that protobuf wrote to stderr";
}

TEST(StatusDetails, MalformedRpcStatus) {
  absl::Status status = absl::AbortedError("untouched");
  const std::string whole = EncodeRpcStatus(WithDetails());
  int refused = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    absl::Status part;
    if (!DecodeRpcStatus(whole.substr(0, size), &part).ok()) ++refused;
  }
  EXPECT_GT(refused, 0);
  for (const std::string& bytes :
       {std::string("\x08"), std::string("\x12\x05m"), std::string("\x12\xff\xff\xff\xff\x0f"),
        std::string("\x1a\x02\xff\xff"), std::string("\x0b"), std::string("\x00", 1)}) {
    EXPECT_EQ(DecodeRpcStatus(bytes, &status).code(), absl::StatusCode::kInvalidArgument) << bytes.size();
  }
  EXPECT_EQ(status, absl::AbortedError("untouched"));
  ASSERT_EQ(DecodeRpcStatus("\x08\x63", &status), absl::OkStatus());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnknown) << "99 is no code";
}

}  // namespace
}  // namespace nearcall::testing
