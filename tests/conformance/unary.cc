// One request, one response: what a call carries.

#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nearcall/internal/method.h"
#include "tests/conformance/conformance.h"
#include "tests/testing/process.h"

namespace nearcall::testing {
namespace {

// Sends and receives a message, and compares.
void Echo(TestService::StubInterface* stub, const Payload& request) {
  ClientContext context;
  Payload response;
  const absl::Status status = stub->Echo(&context, request, &response);
  ASSERT_TRUE(status.ok()) << request.ByteSizeLong() << " bytes: " << status;
  ASSERT_EQ(response.number(), request.number());
  ASSERT_TRUE(response.data() == request.data()) << request.ByteSizeLong() << " bytes came back changed";
}

TEST_P(Conformance, UnaryCarriesTheMessages) {
  StartServer();
  const Stub stub = Connect();
  for (int i = 0; i < 100; ++i) Echo(stub.get(), PayloadOf(10, i));
}

TEST_P(Conformance, UnaryHasAShortForm) {
  StartServer();
  const Stub stub = Connect();
  const absl::StatusOr<Payload> reply = stub->Echo(PayloadOf(3, 4));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->number(), 4);
}

TEST_P(Conformance, UnaryCarriesEmptyMessages) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  Payload response = PayloadOf(5, 6);  // what was in it before must go
  ASSERT_TRUE(stub->Echo(&context, Payload(), &response).ok());
  EXPECT_EQ(response.ByteSizeLong(), 0u);
}

TEST_P(Conformance, UnaryCarriesSmallSizes) {
  StartServer();
  const Stub stub = Connect();
  for (size_t size = 0; size <= 300; ++size) Echo(stub.get(), PayloadOf(size));
}

// Where a message ceases to fit one frame: half a ring, 64 KiB.
TEST_P(Conformance, UnaryCarriesSizesAroundTheFrameLimits) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t limit : {4096u, 8192u, 16384u, 32768u, 65536u, 131072u}) {
    for (size_t size = limit - 64; size <= limit + 32; ++size) Echo(stub.get(), PayloadOf(size));
  }
}

TEST_P(Conformance, UnaryCarriesLargeMessages) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {300'000u, 1u << 20, (1u << 20) + 1, (4u << 20) - 64}) {
    for (int i = 0; i < 3; ++i) Echo(stub.get(), PayloadOf(size));
  }
}

TEST_P(Conformance, UnaryCarriesHugeMessagesWhereTheLimitsAreRaised) {
  ServerOptions server_options;
  server_options.max_receive_message_bytes = -1;
  StartServer(server_options);
  ChannelOptions options;
  options.max_receive_message_bytes = -1;
  const Stub stub = Connect(options);
  Echo(stub.get(), PayloadOf(20u << 20));
  Echo(stub.get(), PayloadOf(1));
}

// Large and small alternate, on one connection, both ways.
TEST_P(Conformance, UnaryCarriesMixedSizes) {
  StartServer();
  const Stub stub = Connect();
  for (size_t i = 0; i < 300; ++i) Echo(stub.get(), PayloadOf(i % 3 == 0 ? 100'000 + i * 997 : i));
}

TEST_P(Conformance, UnaryLeavesNothingOfTheLastCallInTheResponse) {
  StartServer();
  const Stub stub = Connect();
  Payload response;
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    ASSERT_TRUE(stub->Echo(&context, i == 0 ? PayloadOf(1000, 1) : Payload(), &response).ok());
    EXPECT_EQ(response.ByteSizeLong() != 0, i == 0);
  }
}

TEST_P(Conformance, UnaryTellsWhatCarriesIt) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  EXPECT_EQ(context.transport(), "");
  CallInfo info;
  ASSERT_TRUE(stub->Inspect(&context, InspectRequest(), &info).ok());
  EXPECT_EQ(context.transport(), mechanism().carries);
  EXPECT_EQ(info.transport(), mechanism().carries);
  EXPECT_EQ(info.method(), "/nearcall.testing.TestService/Inspect");
  EXPECT_EQ(context.peer().substr(0, context.peer().find(':')),
            mechanism().scheme == "unix-abstract" ? "unix-abstract" : mechanism().carries);
  EXPECT_NE(info.peer(), "");
}

TEST_P(Conformance, UnaryTellsWhoCalls) {
  StartServer();
  const absl::StatusOr<CallInfo> info = Connect()->Inspect(InspectRequest());
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->has_credentials(), mechanism().credentials);
  if (mechanism().credentials) {
    EXPECT_EQ(info->uid(), geteuid());
    EXPECT_EQ(info->pid(), getpid());
  }
  EXPECT_EQ(info->server_pid(), server()->pid());
}

TEST_P(Conformance, UnaryTellsWhichProcessCalls) {
  if (!mechanism().between_processes) GTEST_SKIP() << "the transport does not leave the process";
  StartServer();
  const std::unique_ptr<Process> client = Process::Start("inspector", {address()});
  const std::string said = client->Hear();
  EXPECT_EQ(said, mechanism().credentials ? absl::StrCat(mechanism().carries, " ", geteuid(), " ", client->pid())
                                          : absl::StrCat(mechanism().carries, " 0 0"));
}

TEST_P(Conformance, UnaryOnAMethodThatIsNotThere) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  static const internal::Method method("/nearcall.testing.TestService/NoSuchMethod", internal::MethodType::kUnary);
  for (int i = 0; i < 3; ++i) {  // by name first, by number then
    ClientContext context;
    Payload response;
    const absl::Status status = channel->UnaryCall(method, &context, PayloadOf(10), &response);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
    EXPECT_NE(status.message().find("/nearcall.testing.TestService/NoSuchMethod"), std::string::npos) << status;
  }
  // Large ones, whose message comes in pieces after the refusal.
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    Payload response;
    const absl::Status status = channel->UnaryCall(method, &context, PayloadOf(1'000'000), &response);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  }
  ExpectServes(StubOn(channel).get());
}

TEST_P(Conformance, UnaryOnAServiceThatIsNotThere) {
  StartServer();
  const auto stub = AbsentService::NewStub(CreateChannel(address()));
  const absl::Status status = stub->Echo(Payload()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  EXPECT_NE(status.message().find("nearcall.testing.AbsentService"), std::string::npos) << status;
}

// What cannot be parsed is the call's trouble, not the connection's.
TEST_P(Conformance, UnaryWithARequestThatIsNoSuchMessage) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  static const internal::Method method("/nearcall.testing.TestService/Echo", internal::MethodType::kUnary);
  for (const size_t size : {5u, 200'000u}) {
    ClientContext context;
    Payload response;
    const std::string nonsense(size, '\xff');
    const absl::Status status = channel->UnaryCall(method, &context, internal::OutMessage(nonsense), &response);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  }
  ExpectServes(StubOn(channel).get());
}

TEST_P(Conformance, UnaryWithAResponseThatIsNoSuchMessage) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  static const internal::Method method("/nearcall.testing.TestService/Echo", internal::MethodType::kUnary);
  for (const size_t size : {6u, 200'000u}) {
    ClientContext context;
    FailRequest not_a_payload;  // field 2 of a Payload is a number, here it is bytes
    not_a_payload.set_message(std::string(size, 'x'));
    Payload request = PayloadOf(size);
    FailRequest response;  // field 1 is a number, of a Payload it is bytes: kept as an unknown field
    const absl::Status status = channel->UnaryCall(method, &context, request, &response);
    EXPECT_TRUE(status.ok()) << status;  // protobuf parses what it does not know
  }
  ExpectServes(StubOn(channel).get());
}

TEST_P(Conformance, AContextServesOneCall) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  Payload response;
  ASSERT_TRUE(stub->Echo(&context, Payload(), &response).ok());
  const absl::Status status = stub->Echo(&context, Payload(), &response);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  const auto stream = stub->Chat(&context);
  Payload message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace nearcall::testing
