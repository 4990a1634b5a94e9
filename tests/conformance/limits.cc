// Limits: what hits one fails alone.

#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

// Asks for a response of exactly so many bytes.
absl::Status Produce(TestService::StubInterface* stub, size_t size) {
  Payload request;
  request.set_number(static_cast<int64_t>(PayloadOfExactly(size).data().size()));
  ClientContext context;
  Payload response;
  absl::Status status = stub->Produce(&context, request, &response);
  if (status.ok()) {
    EXPECT_EQ(response.ByteSizeLong(), size);
  }
  return status;
}

TEST_P(Conformance, TheServersReceiveLimitIsExact) {
  for (const int limit : {100, 1000, 70'000, 300'000}) {
    ServerOptions options;
    options.max_receive_message_bytes = limit;
    TestServer* const server = StartServer(options);
    const Stub stub = Connect();
    for (const int over : {-1, 0, 1, 2, 1000, 300'000}) {
      for (int i = 0; i < 2; ++i) {
        ClientContext context;
        Payload response;
        const absl::Status status =
            stub->Echo(&context, PayloadOfExactly(static_cast<size_t>(limit + over)), &response);
        EXPECT_EQ(status.code(), over <= 0 ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted)
            << limit << " + " << over << ": " << status;
      }
      ExpectServes(stub.get());
    }
    EndServer(server);
  }
}

TEST_P(Conformance, TheClientsReceiveLimitIsExact) {
  StartServer();
  for (const int limit : {100, 1000, 70'000, 300'000}) {
    ChannelOptions options;
    options.max_receive_message_bytes = limit;
    const Stub stub = Connect(options);
    for (const int over : {-1, 0, 1, 2, 1000, 300'000}) {
      for (int i = 0; i < 2; ++i) {
        const absl::Status status = Produce(stub.get(), static_cast<size_t>(limit + over));
        EXPECT_EQ(status.code(), over <= 0 ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted)
            << limit << " + " << over << ": " << status;
      }
      ExpectServes(stub.get());
    }
  }
}

TEST_P(Conformance, TheDefaultLimitIsFourMebibytes) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {4u << 20, (4u << 20) + 1, 6u << 20}) {
    const absl::StatusCode expected = size <= (4u << 20) ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted;
    const absl::Status status = stub->Echo(PayloadOfExactly(size)).status();
    EXPECT_EQ(status.code(), expected) << size << ": " << status;
    EXPECT_EQ(Produce(stub.get(), size).code(), expected) << size;
    ExpectServes(stub.get());
  }
}

TEST_P(Conformance, ALimitOfNothingLetsEmptyMessagesPass) {
  ServerOptions server_options;
  server_options.max_receive_message_bytes = 0;
  StartServer(server_options);
  ChannelOptions options;
  options.max_receive_message_bytes = 0;
  const Stub stub = Connect(options);
  EXPECT_TRUE(stub->Echo(Payload()).ok());
  EXPECT_EQ(stub->Echo(PayloadOf(1)).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(stub->Echo(Payload()).ok());
}

TEST_P(Conformance, SendLimitsAreExact) {
  ServerOptions server_options;
  server_options.max_send_message_bytes = 1000;
  StartServer(server_options);
  ChannelOptions options;
  options.max_send_message_bytes = 2000;
  const Stub stub = Connect(options);
  EXPECT_TRUE(Produce(stub.get(), 1000).ok());
  EXPECT_EQ(Produce(stub.get(), 1001).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Produce(stub.get(), 1'000'000).code(), absl::StatusCode::kResourceExhausted);
  FailRequest request;
  request.set_message(std::string(1900, 'x'));
  EXPECT_TRUE(stub->Fail(request).ok());
  request.set_message(std::string(2000, 'x'));
  EXPECT_EQ(stub->Fail(request).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Produce(stub.get(), 10).ok());
}

TEST_P(Conformance, ALimitHitInAStreamFailsThatStreamAlone) {
  ServerOptions server_options;
  server_options.max_receive_message_bytes = 100'000;
  StartServer(server_options);
  ChannelOptions options;
  options.max_receive_message_bytes = 200'000;
  const Stub stub = Connect(options);
  ClientContext good_context;
  const auto good = stub->Chat(&good_context);
  {
    ClientContext context;
    Payload response;
    const auto bad = stub->Up(&context, &response);
    EXPECT_TRUE(bad->Write(PayloadOf(10)));
    bad->Write(PayloadOf(100'001));
    bad->WritesDone();
    const absl::Status status = bad->Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
  {
    ClientContext context;
    DownRequest request;
    request.set_count(3);
    request.set_size(200'001);
    const auto bad = stub->Down(&context, request);
    Payload message;
    EXPECT_FALSE(bad->Read(&message));
    const absl::Status status = bad->Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  }
  Payload message;
  EXPECT_TRUE(good->Write(PayloadOf(1000, 5)));
  EXPECT_TRUE(good->Read(&message));
  EXPECT_EQ(message.number(), 5);
  good->WritesDone();
  EXPECT_FALSE(good->Read(&message));
  EXPECT_TRUE(good->Finish().ok());
  ExpectServes(stub.get());
}

TEST_P(Conformance, ACallTooManyIsRefused) {
  if (!mechanism().refuses_calls) GTEST_SKIP() << "the transport has calls wait for the others";
  ServerOptions options;
  options.max_concurrent_calls_per_connection = 4;
  StartServer(options);
  const Stub stub = Connect();
  const Stub other = Connect();
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] { EXPECT_TRUE(stub->Block(Gate("gate")).ok()); });
  }
  AwaitAtGate(other.get(), "gate", 4);
  for (int i = 0; i < 10; ++i) {
    const absl::Status status = stub->Echo(Payload()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    ClientContext context;
    EXPECT_EQ(stub->Chat(&context)->Finish().code(), absl::StatusCode::kResourceExhausted);
  }
  ExpectServes(other.get());
  OpenGate(other.get(), "gate");
  for (std::thread& caller : callers) caller.join();
  for (int i = 0; i < 100; ++i) ExpectServes(stub.get());
}

}  // namespace
}  // namespace nearcall::testing
