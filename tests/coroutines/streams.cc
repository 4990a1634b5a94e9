// Streams from coroutines.

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "tests/coroutines/fixture.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

using Chat = CoClientReaderWriter<Payload, Payload>;

class CoroutineStreamTest : public CoroutineTest {
 protected:
  // Either server's.
  std::vector<TestService::Stub*> Stubs() { return {stub_.get(), co_stub_.get()}; }
};

DownRequest Down(int64_t count, int64_t size = 0, int code = 0) {
  DownRequest request;
  request.set_count(count);
  request.set_size(size);
  request.set_code(code);
  return request;
}

// Reads `to_read` messages, or all, and finishes; *count tells how many came.
Task<absl::Status> ReadSome(TestService::Stub* stub, ClientContext* context, DownRequest request, int64_t to_read,
                            int64_t* count) {
  CoClientReader<Payload> reader;
  stub->async()->Down(context, &request, &reader);
  reader.StartCall();
  Payload message;
  *count = 0;
  while (*count != to_read && co_await reader.Read(&message)) {
    EXPECT_EQ(message.number(), *count);
    ++*count;
  }
  co_return co_await reader.Finish();
}

TEST_P(CoroutineStreamTest, Reader) {
  for (TestService::Stub* stub : Stubs()) {
    for (const int64_t size : {0, 1000, 100'000}) {
      ClientContext context;
      int64_t count = 0;
      EXPECT_EQ(BlockOn(ReadSome(stub, &context, Down(200, size), -1, &count)), absl::OkStatus());
      EXPECT_EQ(count, 200);
      EXPECT_EQ(context.transport(), GetParam());
    }
    ClientContext context;
    int64_t count = 0;
    EXPECT_EQ(BlockOn(ReadSome(stub, &context, Down(3, 0, 5), -1, &count)).code(), absl::StatusCode::kNotFound);
    EXPECT_EQ(count, 3);
  }
}

TEST_P(CoroutineStreamTest, FinishDropsWhatWasNotRead) {
  for (TestService::Stub* stub : Stubs()) {
    for (const int64_t read : {0, 1, 10, 100}) {
      ClientContext context;
      int64_t count = 0;
      EXPECT_EQ(BlockOn(ReadSome(stub, &context, Down(100, 5000), read, &count)), absl::OkStatus());
      EXPECT_EQ(count, read);
    }
  }
}

TEST_P(CoroutineStreamTest, Metadata) {
  const auto read = [](TestService::Stub* stub) -> Task<> {
    DownRequest request = Down(1);
    for (Pair* pair : {request.add_initial(), request.add_trailing()}) {
      pair->set_key("key");
      pair->set_value("value");
    }
    ClientContext context;
    CoClientReader<Payload> reader;
    stub->async()->Down(&context, &request, &reader);
    reader.StartCall();
    Payload message;
    const bool first = co_await reader.Read(&message);
    EXPECT_TRUE(first);
    EXPECT_EQ(context.GetServerInitialMetadata().Get("key"), "value");
    EXPECT_TRUE(context.GetServerTrailingMetadata().empty());
    const bool second = co_await reader.Read(&message);
    EXPECT_FALSE(second);
    const absl::Status status = co_await reader.Finish();
    EXPECT_EQ(status, absl::OkStatus());
    EXPECT_EQ(context.GetServerTrailingMetadata().Get("key"), "value");
    EXPECT_EQ(context.GetServerInitialMetadata().size(), 1);
  };
  for (TestService::Stub* stub : Stubs()) BlockOn(read(stub));
}

Task<absl::Status> WriteSome(TestService::Stub* stub, ClientContext* context, int64_t count, size_t size,
                             Payload* response) {
  CoClientWriter<Payload> writer;
  stub->async()->Up(context, response, &writer);
  writer.StartCall();
  for (int64_t i = 0; i < count; ++i) {
    if (!co_await writer.Write(PayloadOf(i, size))) co_return co_await writer.Finish();
  }
  const bool done = co_await writer.WritesDone();
  EXPECT_TRUE(done);
  const bool after_the_end = co_await writer.Write(Payload());
  EXPECT_FALSE(after_the_end);
  co_return co_await writer.Finish();
}

TEST_P(CoroutineStreamTest, Writer) {
  for (TestService::Stub* stub : Stubs()) {
    for (const size_t size : {0, 1000, 100'000}) {
      ClientContext context;
      Payload response;
      EXPECT_EQ(BlockOn(WriteSome(stub, &context, 200, size, &response)), absl::OkStatus());
      EXPECT_EQ(response.number(), 199 * 200 / 2);
      EXPECT_EQ(response.data(), "200");
    }
  }
}

TEST_P(CoroutineStreamTest, PingPong) {
  const auto chat = [](TestService::Stub* stub) -> Task<absl::Status> {
    ClientContext context;
    Chat stream;
    stub->async()->Chat(&context, &stream);
    stream.StartCall();
    for (int i = 0; i < 300; ++i) {
      Payload message;
      const bool wrote = co_await stream.Write(PayloadOf(i));
      const bool read = co_await stream.Read(&message);
      if (!wrote || !read || message.number() != i) co_return absl::DataLossError(message.ShortDebugString());
    }
    const bool done = co_await stream.WritesDone();
    EXPECT_TRUE(done);
    Payload message;
    const bool more = co_await stream.Read(&message);
    EXPECT_FALSE(more);
    co_return co_await stream.Finish();
  };
  for (TestService::Stub* stub : Stubs()) EXPECT_EQ(BlockOn(chat(stub)), absl::OkStatus());
}

// More than both directions hold: the writer would get stuck if the reader were not a coroutine of its own.
TEST_P(CoroutineStreamTest, OneReadsWhileAnotherWrites) {
  constexpr int kCount = 500;
  const auto write = [](Chat* stream, absl::Notification* written) -> Task<> {
    for (int i = 0; i < kCount; ++i) {
      if (!co_await stream->Write(PayloadOf(i, 2000))) break;
    }
    co_await stream->WritesDone();
    written->Notify();
  };
  const auto read = [](Chat* stream, int* count) -> Task<> {
    for (Payload message; co_await stream->Read(&message); ++*count) EXPECT_EQ(message.number(), *count);
  };
  const auto finish = [](Chat* stream) -> Task<absl::Status> { co_return co_await stream->Finish(); };
  for (TestService::Stub* stub : Stubs()) {
    ClientContext context;
    Chat stream;
    stub->async()->Chat(&context, &stream);
    stream.StartCall();
    absl::Notification written;
    Spawn(write(&stream, &written));
    int count = 0;
    BlockOn(read(&stream, &count));
    written.WaitForNotification();
    EXPECT_EQ(count, kCount);
    EXPECT_EQ(BlockOn(finish(&stream)), absl::OkStatus());
    EXPECT_EQ(BlockOn(finish(&stream)), absl::OkStatus()) << "and says so again";
  }
}

TEST_P(CoroutineStreamTest, CallsThatFail) {
  const std::unique_ptr<TestService::Stub> absent = TestService::NewStub(CreateChannel(co_address() + "-absent"));
  ClientContext context, cancelled, bad;
  int64_t count = 0;
  EXPECT_EQ(BlockOn(ReadSome(absent.get(), &context, Down(1), -1, &count)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(BlockOn(ReadSome(co_stub_.get(), &context, Down(1), -1, &count)).code(),
            absl::StatusCode::kFailedPrecondition)
      << "a used context";
  cancelled.TryCancel();
  EXPECT_EQ(BlockOn(ReadSome(co_stub_.get(), &cancelled, Down(1), -1, &count)).code(), absl::StatusCode::kCancelled);
  bad.AddMetadata("bad key", "v");
  EXPECT_EQ(BlockOn(ReadSome(co_stub_.get(), &bad, Down(1), -1, &count)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(count, 0);

  const auto not_started = []() -> Task<absl::Status> {
    Chat stream;
    Payload message;
    const bool read = co_await stream.Read(&message);
    const bool wrote = co_await stream.Write(message);
    EXPECT_FALSE(read || wrote);
    co_return co_await stream.Finish();
  };
  EXPECT_EQ(BlockOn(not_started()).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(CoroutineStreamTest, Deadline) {
  const auto reads = [](TestService::Stub* stub) -> Task<absl::Status> {
    ClientContext context;
    context.set_timeout(absl::Milliseconds(30));
    Chat stream;
    stub->async()->HangUp(&context, &stream);
    stream.StartCall();
    co_await stream.Write(Payload());  // which it waits for, before it waits for ever
    Payload message;
    while (co_await stream.Read(&message)) {
    }
    co_return co_await stream.Finish();
  };
  EXPECT_EQ(BlockOn(reads(co_stub_.get())).code(), absl::StatusCode::kDeadlineExceeded);

  const auto writes = [](TestService::Stub* stub) -> Task<absl::Status> {
    ClientContext context;
    context.set_timeout(absl::Milliseconds(30));
    Chat stream;
    stub->async()->Chat(&context, &stream);
    stream.StartCall();
    const Payload big = PayloadOf(0, 50'000);
    while (co_await stream.Write(big)) {  // until both directions are full
    }
    co_return co_await stream.Finish();
  };
  EXPECT_EQ(BlockOn(writes(co_stub_.get())).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_P(CoroutineStreamTest, CancelThroughTheContext) {
  const auto read = [](TestService::Stub* stub, ClientContext* context, absl::Notification* first,
                       absl::Notification* over, absl::Status* status) -> Task<> {
    Chat stream;
    stub->async()->HangUp(context, &stream);
    stream.StartCall();
    Payload message;
    co_await stream.Write(message);
    co_await stream.Read(&message);
    first->Notify();
    const bool more = co_await stream.Read(&message);
    EXPECT_FALSE(more);
    *status = co_await stream.Finish();
    over->Notify();
  };
  for (int i = 1; i <= 5; ++i) {
    ClientContext context;
    absl::Notification first, over;
    absl::Status status;
    Spawn(read(co_stub_.get(), &context, &first, &over, &status));
    first.WaitForNotification();
    context.TryCancel();
    over.WaitForNotification();
    EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
    Await([&] { return co_service_.cancelled == i; });
  }
}

// --- Streams that go before their calls ---

TEST_P(CoroutineStreamTest, DroppedBeforeTheCall) {
  {
    Chat never_bound;
  }
  ClientContext context;
  Payload response;
  {
    CoClientWriter<Payload> never_started;
    co_stub_->async()->Up(&context, &response, &never_started);
  }
  EXPECT_EQ(co_stub_->Echo(&context, Payload(), &response), absl::OkStatus()) << "the context was not used";
}

// What the call was given goes with the stream, at every moment of the call's life.
TEST_P(CoroutineStreamTest, DroppedOnAnotherThread) {
  for (int i = 0; i < 200; ++i) {
    {
      auto context = std::make_unique<ClientContext>();
      auto request = std::make_unique<DownRequest>(Down(1000, 100));
      CoClientReader<Payload> reader;
      co_stub_->async()->Down(context.get(), request.get(), &reader);
      reader.StartCall();
      for (int pause = 0; pause < i; ++pause) std::this_thread::yield();
    }
    {
      auto context = std::make_unique<ClientContext>();
      auto response = std::make_unique<Payload>();
      CoClientWriter<Payload> writer;
      co_stub_->async()->Up(context.get(), response.get(), &writer);
      writer.StartCall();
      for (int pause = 0; pause < i; ++pause) std::this_thread::yield();
    }
  }
  Await([&] { return co_service_.frames == 0; });
  EXPECT_TRUE(co_stub_->Echo(Payload()).ok());
}

// By the coroutine that it has just resumed.
Task<> ReadOneAndLeave(TestService::Stub* stub, int64_t count) {
  ClientContext context;
  const DownRequest request = Down(count, 1000);
  CoClientReader<Payload> reader;
  stub->async()->Down(&context, &request, &reader);
  reader.StartCall();
  Payload message;
  const bool read = co_await reader.Read(&message);
  EXPECT_TRUE(read);
}

TEST_P(CoroutineStreamTest, DroppedInAReaction) {
  for (int i = 0; i < 20; ++i) {
    for (const int64_t count : {1, 2, 1'000'000}) BlockOn(ReadOneAndLeave(co_stub_.get(), count));
  }
  Await([&] { return co_service_.frames == 0; });
  EXPECT_TRUE(co_stub_->Echo(Payload()).ok());
}

TEST_P(CoroutineStreamTest, DroppedByAnException) {
  const auto leave = [](TestService::Stub* stub) -> Task<> {
    ClientContext context;
    Chat stream;
    stub->async()->Chat(&context, &stream);
    stream.StartCall();
    co_await stream.Write(PayloadOf(1));
    Payload message;
    co_await stream.Read(&message);
    throw message;
  };
  EXPECT_THROW(BlockOn(leave(co_stub_.get())), Payload);
  Await([&] { return co_service_.frames == 0; });
}

// Who still waits hears that nothing comes.
TEST_P(CoroutineStreamTest, DroppedUnderAReader) {
  const auto echo = [](Chat* stream) -> Task<bool> {
    Payload message;
    const bool written = co_await stream->Write(PayloadOf(1));
    const bool read = co_await stream->Read(&message);
    co_return written && read;
  };
  const auto read = [](Chat* stream, absl::Notification* over) -> Task<> {
    Payload message;
    const bool more = co_await stream->Read(&message);
    EXPECT_FALSE(more);
    over->Notify();
  };
  for (int i = 0; i < 20; ++i) {
    absl::Notification over;
    {
      ClientContext context;
      Chat stream;
      co_stub_->async()->HangUp(&context, &stream);
      stream.StartCall();
      EXPECT_TRUE(BlockOn(echo(&stream)));
      Spawn(read(&stream, &over));  // returns when it waits
    }
    over.WaitForNotification();
  }
}

// As the last one that knows the channel, with a thousand others.
TEST_P(CoroutineStreamTest, DroppedWithTheChannel) {
  std::unique_ptr<TestService::Stub> stub = TestService::NewStub(CreateChannel(co_address()));
  {
    std::vector<std::unique_ptr<ClientContext>> contexts;
    std::vector<std::unique_ptr<Chat>> streams;
    for (int i = 0; i < 1000; ++i) {
      contexts.push_back(std::make_unique<ClientContext>());
      streams.push_back(std::make_unique<Chat>());
      stub->async()->Chat(contexts.back().get(), streams.back().get());
      streams.back()->StartCall();
    }
    stub = nullptr;
  }
  Await([&] { return co_service_.frames == 0; });
}

TEST_P(CoroutineStreamTest, CallsEndWithTheirServer) {
  const auto read = [](TestService::Stub* stub, absl::Notification* first, absl::BlockingCounter* over,
                       absl::Status* status) -> Task<> {
    ClientContext context;
    Chat stream;
    stub->async()->HangUp(&context, &stream);
    stream.StartCall();
    Payload message;
    co_await stream.Write(message);
    co_await stream.Read(&message);
    first->Notify();
    co_await stream.Read(&message);
    *status = co_await stream.Finish();
    over->DecrementCount();
  };
  absl::Notification first[3];
  absl::Status status[3];
  absl::BlockingCounter over(3);
  for (int i = 0; i < 3; ++i) Spawn(read(co_stub_.get(), &first[i], &over, &status[i]));
  for (absl::Notification& one : first) one.WaitForNotification();
  co_server_->Shutdown(absl::InfinitePast());
  over.Wait();
  for (const absl::Status& one : status) EXPECT_FALSE(one.ok());
}

INSTANTIATE_TEST_SUITE_P(Over, CoroutineStreamTest, ::testing::Values("inproc", "unix", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
