// Handlers that are coroutines, called in the plain ways. (What they do with messages, coroutine_streams.cc shows, too.)

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/coroutines/fixture.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

class CoroutineHandlerTest : public CoroutineTest {
 protected:
  GateRequest Gate() {
    GateRequest gate;
    gate.set_gate("gate");
    return gate;
  }
};

TEST_P(CoroutineHandlerTest, Unary) {
  for (int i = 0; i < 500; ++i) {
    const absl::StatusOr<Payload> reply = co_stub_->Echo(PayloadOf(i, i % 50 == 0 ? 100'000 : 10));
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->number(), i);
  }
}

TEST_P(CoroutineHandlerTest, ExceptionsBecomeUnknown) {
  ThrowRequest request;
  request.set_what("thrown");
  EXPECT_EQ(co_stub_->Throw(request).status(), absl::UnknownError("thrown"));
  request.clear_what();
  EXPECT_EQ(co_stub_->Throw(request).status().code(), absl::StatusCode::kUnknown);

  ClientContext context;
  Payload response;
  const auto writer = co_stub_->BlockUp(&context, &response);
  Payload message;
  message.set_data("thrown after a wait");
  EXPECT_TRUE(writer->Write(message));
  EXPECT_EQ(writer->Finish(), absl::UnknownError("thrown after a wait"));
}

TEST_P(CoroutineHandlerTest, ClientStreaming) {
  ClientContext context;
  Payload response;
  const auto writer = co_stub_->Up(&context, &response);
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(writer->Write(PayloadOf(i, 100)));
  EXPECT_TRUE(writer->WritesDone());
  EXPECT_EQ(writer->Finish(), absl::OkStatus());
  EXPECT_EQ(response.number(), 999 * 1000 / 2);
  EXPECT_EQ(response.data(), "1000");
}

TEST_P(CoroutineHandlerTest, ServerStreaming) {
  ClientContext context;
  DownRequest request;
  request.set_count(1000);
  request.set_size(300);
  request.set_code(9);
  request.set_message("end");
  const auto reader = co_stub_->Down(&context, request);
  Payload message;
  int64_t count = 0;
  for (; reader->Read(&message); ++count) ASSERT_EQ(message.number(), count);
  EXPECT_EQ(count, 1000);
  EXPECT_EQ(reader->Finish(), absl::FailedPreconditionError("end"));
}

TEST_P(CoroutineHandlerTest, Bidirectional) {
  ClientContext context;
  const auto stream = co_stub_->Chat(&context);
  Payload message;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(stream->Write(PayloadOf(i)));
    ASSERT_TRUE(stream->Read(&message));
    ASSERT_EQ(message.number(), i);
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish(), absl::OkStatus());
}

// The operations say so, and so does the context; the frame goes in any case.
TEST_P(CoroutineHandlerTest, SeesCancellation) {
  for (int i = 1; i <= 5; ++i) {
    ClientContext context;
    const auto stream = co_stub_->HangUp(&context);
    Payload message;
    ASSERT_TRUE(stream->Write(message));
    ASSERT_TRUE(stream->Read(&message));
    context.TryCancel();
    EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
    Await([&] { return co_service_.cancelled == i && co_service_.frames == 0; });
  }
}

TEST_P(CoroutineHandlerTest, SeesDeadlines) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(30));
  const auto stream = co_stub_->HangUp(&context);
  Payload message;
  if (stream->Write(message)) stream->Read(&message);
  while (stream->Read(&message)) {
  }
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kDeadlineExceeded);
  Await([&] { return co_service_.frames == 0; });
}

TEST_P(CoroutineHandlerTest, AWriterWithoutAReaderSeesCancellation) {
  ClientContext context;
  DownRequest request;
  request.set_count(1'000'000'000);
  request.set_size(1000);
  const auto reader = co_stub_->Down(&context, request);
  Payload message;
  ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kCancelled);
  Await([&] { return co_service_.cancelled == 1 && co_service_.frames == 0; });
}

// The handler awaits calls of another server.
TEST_P(CoroutineHandlerTest, Chained) {
  for (int i = 0; i < 50; ++i) {
    const absl::StatusOr<NestReply> reply = co_stub_->Nest(NestRequest());
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->pids_size(), 3);
  }
}

TEST_P(CoroutineHandlerTest, CancellationReachesTheCallsOfAHandler) {
  for (int i = 1; i <= 3; ++i) {
    ClientContext context;
    GateState state;
    const GateRequest gate = Gate();
    std::thread caller([&] {
      EXPECT_EQ(co_stub_->Block(&context, gate, &state).code(), absl::StatusCode::kCancelled);
    });
    Await([&] { return stub_->Look(gate)->entered() == i; });
    context.TryCancel();
    caller.join();
    Await([&] { return stub_->Look(gate)->cancelled() == i && co_service_.cancelled == i; });
    Await([&] { return co_service_.frames == 0; });
  }
}

// A cancellation does not resume a coroutine that waits for something else: its call lasts as long as it does.
TEST_P(CoroutineHandlerTest, AHandlerOutlivesItsCaller) {
  ClientContext context;
  context.set_timeout(absl::Milliseconds(20));
  GateState state;
  EXPECT_EQ(co_stub_->Block(&context, GateRequest(), &state).code(), absl::StatusCode::kDeadlineExceeded);
  Await([&] { return co_service_.gate.waiting() == 1; });
  EXPECT_GT(co_service_.frames, 0);
  co_service_.gate.Open();
}

TEST_P(CoroutineHandlerTest, ShutdownWaitsForHandlers) {
  absl::Status status;
  std::thread caller([&] { status = co_stub_->Block(GateRequest()).status(); });
  Await([&] { return co_service_.gate.waiting() == 1; });
  std::thread shutdown([&] { co_server_->Shutdown(absl::InfinitePast()); });
  caller.join();
  EXPECT_FALSE(status.ok());
  EXPECT_GT(co_service_.frames, 0);
  co_service_.gate.Open();
  shutdown.join();
  EXPECT_EQ(co_service_.frames, 0);
}

INSTANTIATE_TEST_SUITE_P(Over, CoroutineHandlerTest, ::testing::Values("inproc", "unix", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
