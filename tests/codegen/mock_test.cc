// Code that calls a service is tested without one.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codegen/testdata/greeter_mock.nearcall.h"

namespace {

using ::helloworld::Greeter;
using ::helloworld::HelloReply;
using ::helloworld::HelloRequest;
using ::helloworld::MockGreeterStub;
using ::testing::_;
using ::testing::DoAll;
using ::testing::Return;
using ::testing::SetArgPointee;

// --- The code under test --------------------------------------------------------------------------------------------

std::string Greet(Greeter::StubInterface& stub, const std::string& name) {
  HelloRequest request;
  request.set_name(name);
  const absl::StatusOr<HelloReply> reply = stub.SayHello(request);
  return reply.ok() ? reply->message() : absl::StrCat("no greeting: ", reply.status().message());
}

std::string GreetRepeatedly(Greeter::StubInterface& stub) {
  nearcall::ClientContext context;
  const auto reader = stub.Repeat(&context, HelloRequest());
  std::string greetings;
  for (HelloReply reply; reader->Read(&reply);) absl::StrAppend(&greetings, reply.message(), ";");
  return reader->Finish().ok() ? greetings : "failed";
}

// --- Its tests
// --------------------------------------------------------------------------------------------------------

HelloReply Reply(const std::string& message) {
  HelloReply reply;
  reply.set_message(message);
  return reply;
}

TEST(MockTest, UnaryAnswers) {
  MockGreeterStub stub;
  EXPECT_CALL(stub, SayHello(_, ::testing::Property(&HelloRequest::name, "Ann"), _))
      .WillOnce(DoAll(SetArgPointee<2>(Reply("Hello, Ann")), Return(absl::OkStatus())));
  EXPECT_EQ(Greet(stub, "Ann"), "Hello, Ann");
}

TEST(MockTest, UnaryFails) {
  MockGreeterStub stub;
  EXPECT_CALL(stub, SayHello).WillOnce(Return(absl::UnavailableError("gone")));
  EXPECT_EQ(Greet(stub, "Ann"), "no greeting: gone");
}

class MockReader : public nearcall::ClientReaderInterface<HelloReply> {
 public:
  MOCK_METHOD(void, WaitForInitialMetadata, (), (override));
  MOCK_METHOD(bool, Read, (HelloReply * message), (override));
  MOCK_METHOD(absl::Status, Finish, (), (override));
};

TEST(MockTest, Stream) {
  MockGreeterStub stub;
  auto reader = std::make_unique<MockReader>();
  EXPECT_CALL(*reader, Read)
      .WillOnce(DoAll(SetArgPointee<0>(Reply("one")), Return(true)))
      .WillOnce(DoAll(SetArgPointee<0>(Reply("two")), Return(true)))
      .WillOnce(Return(false));
  EXPECT_CALL(*reader, Finish).WillOnce(Return(absl::OkStatus()));
  EXPECT_CALL(stub, RepeatRaw).WillOnce(Return(reader.release()));  // the caller owns it
  EXPECT_EQ(GreetRepeatedly(stub), "one;two;");
}

class MockAsync : public Greeter::StubInterface::async_interface {
 public:
  MOCK_METHOD(void, SayHello,
              (nearcall::ClientContext * context, const HelloRequest* request, HelloReply* response,
               std::function<void(absl::Status)> done),
              (override));
  MOCK_METHOD(void, SayHello,
              (nearcall::ClientContext * context, const HelloRequest* request, HelloReply* response,
               nearcall::ClientUnaryReactor* reactor),
              (override));
  MOCK_METHOD(void, Collect,
              (nearcall::ClientContext * context, HelloReply* response,
               nearcall::ClientWriteReactor<HelloRequest>* reactor),
              (override));
  MOCK_METHOD(void, Repeat,
              (nearcall::ClientContext * context, const HelloRequest* request,
               nearcall::ClientReadReactor<HelloReply>* reactor),
              (override));
  MOCK_METHOD(void, Chat,
              (nearcall::ClientContext * context, (nearcall::ClientBidiReactor<HelloRequest, HelloReply>* reactor)),
              (override));
};

TEST(MockTest, Async) {
  MockGreeterStub stub;
  MockAsync async;
  EXPECT_CALL(stub, async).WillOnce(Return(&async));
  EXPECT_CALL(async, SayHello(_, _, _, ::testing::An<std::function<void(absl::Status)>>()))
      .WillOnce(::testing::InvokeArgument<3>(absl::AbortedError("later")));
  nearcall::ClientContext context;
  HelloRequest request;
  HelloReply response;
  absl::Status status;
  Greeter::StubInterface& interface = stub;
  interface.async()->SayHello(&context, &request, &response, [&status](absl::Status got) { status = got; });
  EXPECT_EQ(status, absl::AbortedError("later"));
}

// Who mocks the form with a callback has mocked the one for co_await as well.
TEST(MockTest, Awaitable) {
  MockAsync async;
  EXPECT_CALL(async, SayHello(_, _, _, ::testing::An<std::function<void(absl::Status)>>()))
      .WillOnce(DoAll(SetArgPointee<2>(Reply("Hello")), ::testing::InvokeArgument<3>(absl::OkStatus())));
  nearcall::ClientContext context;
  HelloRequest request;
  HelloReply response;
  absl::Status status = absl::UnknownError("not called back");
  Greeter::StubInterface::async_interface& interface = async;
  interface.SayHello(&context, &request, &response).Start([&status](absl::Status got) { status = got; });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(response.message(), "Hello");
}

}  // namespace
