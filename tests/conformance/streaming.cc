// Streams of messages, in either direction and in both.

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/conformance/conformance.h"
#include "tests/testing/fault.h"

namespace nearcall::testing {
namespace {

DownRequest Messages(int64_t count, int64_t size) {
  DownRequest request;
  request.set_count(count);
  request.set_size(size);
  return request;
}

TEST_P(Conformance, StreamsUp) {
  StartServer();
  const Stub stub = Connect();
  for (const int count : {0, 1, 2, 100, 10'000}) {
    ClientContext context;
    Payload response;
    const auto writer = stub->Up(&context, &response);
    for (int i = 0; i < count; ++i) ASSERT_TRUE(writer->Write(PayloadOf(static_cast<size_t>(i % 50), i)));
    EXPECT_TRUE(writer->WritesDone());
    EXPECT_FALSE(writer->Write(PayloadOf(1)));
    EXPECT_FALSE(writer->WritesDone());
    const absl::Status status = writer->Finish();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.data(), std::to_string(count));
    EXPECT_EQ(response.number(), int64_t{count} * (count - 1) / 2);
  }
}

TEST_P(Conformance, StreamsDown) {
  StartServer();
  const Stub stub = Connect();
  for (const int count : {0, 1, 2, 100, 10'000}) {
    ClientContext context;
    const auto reader = stub->Down(&context, Messages(count, 20));
    Payload message;
    int64_t next = 0;
    while (reader->Read(&message)) {
      ASSERT_EQ(message.number(), next);
      ASSERT_EQ(message.data().size(), 20u);
      ++next;
    }
    EXPECT_EQ(next, count);
    EXPECT_FALSE(reader->Read(&message));
    const absl::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(Conformance, StreamsPingPong) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Payload message;
  for (int i = 0; i < Fewer(20'000); ++i) {
    ASSERT_TRUE(stream->Write(PayloadOf(8, i)));
    ASSERT_TRUE(stream->Read(&message));
    ASSERT_EQ(message.number(), i);
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(Conformance, StreamsBothWaysAtOnce) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  const auto stream = stub->Chat(&context);
  const int count = Fewer(5000);
  std::thread writer([&] {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(stream->Write(PayloadOf(static_cast<size_t>(i % 2000), i)));
    EXPECT_TRUE(stream->WritesDone());
  });
  Payload message;
  int64_t next = 0;
  while (stream->Read(&message)) {
    ASSERT_EQ(message.number(), next);
    ASSERT_EQ(message.data(), PayloadOf(static_cast<size_t>(next % 2000)).data());
    ++next;
  }
  writer.join();
  EXPECT_EQ(next, count);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(Conformance, StreamsOfAllSizes) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  const auto stream = stub->Chat(&context);
  std::vector<size_t> sizes = {0, 1, 15, 16, 17, 63, 64, 65, 1u << 20, 0, (4u << 20) - 16, 1};
  for (const size_t limit : {8192u, 16384u, 32768u, 65536u}) {
    for (size_t size = limit - 40; size <= limit + 20; ++size) sizes.push_back(size);
  }
  Payload message;
  for (const size_t size : sizes) {
    const Payload sent = PayloadOf(size, static_cast<int64_t>(size));
    ASSERT_TRUE(stream->Write(sent)) << size;
    ASSERT_TRUE(stream->Read(&message)) << size;
    ASSERT_TRUE(message.data() == sent.data()) << size;
  }
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(Conformance, StreamsOfLargeMessages) {
  StartServer();
  const Stub stub = Connect();
  {
    ClientContext context;
    Payload response;
    const auto writer = stub->Up(&context, &response);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer->Write(PayloadOf(1u << 20, i)));
    writer->WritesDone();
    ASSERT_TRUE(writer->Finish().ok());
    EXPECT_EQ(response.number(), 190);
  }
  ClientContext context;
  const auto reader = stub->Down(&context, Messages(20, 1u << 20));
  Payload message;
  int count = 0;
  while (reader->Read(&message)) {
    ++count;
    EXPECT_EQ(message.data().size(), 1u << 20);
  }
  EXPECT_EQ(count, 20);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_P(Conformance, TheLastMessageMayEndTheStream) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {10u, 200'000u}) {
    ClientContext context;
    Payload response;
    const auto writer = stub->Up(&context, &response);
    EXPECT_TRUE(writer->Write(PayloadOf(size, 1)));
    WriteOptions last;
    last.last_message = true;
    EXPECT_TRUE(writer->Write(PayloadOf(size, 2), last));
    EXPECT_FALSE(writer->Write(PayloadOf(size, 4)));
    ASSERT_TRUE(writer->Finish().ok());
    EXPECT_EQ(response.number(), 3);
  }
}

// Nothing is forgotten in a buffer, whatever comes next: an answer that is waited for, more messages than there is room
// for, the end.
TEST_P(Conformance, WritesThatMayWaitForEachOtherArrive) {
  StartServer();
  const Stub stub = Connect();
  WriteOptions hint;
  hint.buffer_hint = true;
  ClientContext chatting;
  const auto chat = stub->Chat(&chatting);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(chat->Write(PayloadOf(10, i), hint));
    Payload echo;
    ASSERT_TRUE(chat->Read(&echo));
    EXPECT_EQ(echo.number(), i);
  }
  ClientContext context;
  Payload sum;
  const auto writer = stub->Up(&context, &sum);
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(writer->Write(PayloadOf(100, 1), hint));
  EXPECT_TRUE(writer->WritesDone());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_EQ(sum.number(), 2000);
  EXPECT_TRUE(chat->Write(PayloadOf(10, 11), hint));
  EXPECT_TRUE(chat->WritesDone());
  EXPECT_TRUE(chat->Finish().ok());
}

TEST_P(Conformance, AStreamEndsWithTheServersStatus) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  DownRequest request = Messages(5, 10);
  request.set_code(5);
  request.set_message("that was all");
  Pair* const initial = request.add_initial();
  initial->set_key("first");
  initial->set_value("1");
  Pair* const trailing = request.add_trailing();
  trailing->set_key("last");
  trailing->set_value("2");
  const auto reader = stub->Down(&context, request);
  reader->WaitForInitialMetadata();
  EXPECT_EQ(context.GetServerInitialMetadata().Get("first").value_or(""), "1");
  Payload message;
  int count = 0;
  while (reader->Read(&message)) ++count;
  EXPECT_EQ(count, 5);
  const absl::Status status = reader->Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "that was all");
  EXPECT_EQ(context.GetServerTrailingMetadata().Get("last").value_or(""), "2");
  EXPECT_EQ(context.GetServerInitialMetadata().size(), 1u);
}

TEST_P(Conformance, AServerMayFinishEarly) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {10u, 30'000u, 300'000u}) {
    for (const int code : {0, 7}) {
      ClientContext context;
      const auto stream = stub->HangUp(&context);
      ASSERT_TRUE(stream->Write(PayloadOf(1, code)));
      while (stream->Write(PayloadOf(size))) {
      }
      Payload message;
      EXPECT_FALSE(stream->Read(&message));
      const absl::Status status = stream->Finish();
      EXPECT_EQ(static_cast<int>(status.code()), code) << status;
    }
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, ACallerMayCancelAStreamThatItReads) {
  StartServer();
  const Stub stub = Connect();
  for (int64_t round = 1; round <= 3; ++round) {
    ClientContext context;
    DownRequest request = Messages(int64_t{1} << 40, 100);
    request.set_gate("gate");
    const auto reader = stub->Down(&context, request);
    Payload message;
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(reader->Read(&message));
    context.TryCancel();
    while (reader->Read(&message)) {
    }
    EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kCancelled);
    AwaitCancelled(stub.get(), "gate", round);
  }
}

// A cancelled call's reads end with what has come, however quick its server is and however slow its reader.
TEST_P(Conformance, ReadsEndSoonAfterACancellation) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  const auto reader = stub->Down(&context, Messages(int64_t{1} << 40, 32 * 1024));
  Payload message;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  int reads = 0;
  while (reader->Read(&message)) {
    absl::SleepFor(absl::Milliseconds(1));  // in which the server sends more, if it may
    ASSERT_LT(++reads, 200);
  }
  EXPECT_EQ(reader->Finish().code(), absl::StatusCode::kCancelled);
}

TEST_P(Conformance, CancelEndsARead) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  const auto stream = stub->Chat(&context);
  Payload message;
  ASSERT_TRUE(stream->Write(PayloadOf(1)));
  ASSERT_TRUE(stream->Read(&message));
  std::thread canceller([&] { context.TryCancel(); });
  EXPECT_FALSE(stream->Read(&message));
  canceller.join();
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
  ExpectServes(stub.get());
}

TEST_P(Conformance, AStreamThatIsDroppedIsCancelled) {
  StartServer();
  const Stub stub = Connect();
  {
    ClientContext context;
    DownRequest request = Messages(int64_t{1} << 40, 100);
    request.set_gate("down");
    const auto reader = stub->Down(&context, request);
    Payload message;
    ASSERT_TRUE(reader->Read(&message));
  }
  AwaitCancelled(stub.get(), "down", 1);
  {
    ClientContext context;
    Payload response;
    const auto writer = stub->BlockUp(&context, &response);
    Payload gate;
    gate.set_data("up");
    ASSERT_TRUE(writer->Write(gate));
    AwaitAtGate(stub.get(), "up", 1);
  }
  AwaitCancelled(stub.get(), "up", 1);
  ExpectServes(stub.get());
}

// The credit bounds what a server may have under way for a reader that does not read, and holds up nothing else.
TEST_P(Conformance, ASlowReaderHoldsItsWriterBackAndNobodyElse) {
  if (!mechanism().exact_windows) GTEST_SKIP() << "the transport has a flow control of its own";
  StartServer();
  const Stub stub = Connect();
  for (const int64_t size : {100, 10'000, 1'000'000}) {
    const std::string gate = "gate" + std::to_string(size);
    const int64_t count = size >= 1'000'000 ? 20 : 5000;
    ClientContext context;
    DownRequest request = Messages(count, size);
    request.set_gate(gate);
    const auto reader = stub->Down(&context, request);
    // At most the credit and one message; written so far never goes over it, however long one waits.
    const int64_t window = UnderFault(ChannelOptions()).stream_window_bytes;
    const int64_t most = window / (size + 32) + 2;
    AwaitAtGate(stub.get(), gate, std::max<int64_t>(window / (size + 64), 1));
    for (int i = 0; i < Fewer(200); ++i) {
      ASSERT_LE(Look(stub.get(), gate).entered(), most);
      ExpectServes(stub.get());
    }
    Payload message;
    int64_t got = 0;
    while (reader->Read(&message)) ASSERT_EQ(message.number(), got++);
    EXPECT_EQ(got, count);
    EXPECT_TRUE(reader->Finish().ok());
  }
}

TEST_P(Conformance, ASlowServerHoldsItsWriterBackAndNobodyElse) {
  if (!mechanism().exact_windows) GTEST_SKIP() << "the transport has a flow control of its own";
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {100u, 10'000u, 1'000'000u}) {
    const std::string gate = "gate" + std::to_string(size);
    const int count = size >= 1'000'000 ? 10 : 3000;
    ClientContext context;
    Payload response;
    const auto writer = stub->BlockUp(&context, &response);
    Payload first;
    first.set_data(gate);
    ASSERT_TRUE(writer->Write(first));
    std::atomic<int> written{0};
    std::thread thread([&] {
      for (int i = 0; i < count; ++i) {
        EXPECT_TRUE(writer->Write(PayloadOf(size)));
        ++written;
      }
      writer->WritesDone();
    });
    AwaitAtGate(stub.get(), gate, 1);
    const int most = UnderFault(ServerOptions()).stream_window_bytes / static_cast<int>(size + 32) + 2;
    for (int i = 0; i < Fewer(200); ++i) {
      EXPECT_LE(written, most);
      ExpectServes(stub.get());
    }
    OpenGate(stub.get(), gate);
    thread.join();
    EXPECT_TRUE(writer->Finish().ok());
    EXPECT_EQ(response.number(), count);
  }
}

TEST_P(Conformance, ADeadlineEndsAWriterThatIsHeldBack) {
  StartServer();
  const Stub stub = Connect();
  const Stub other = Connect();
  ClientContext context;
  context.set_timeout(absl::Milliseconds(200));
  Payload response;
  const auto writer = stub->BlockUp(&context, &response);
  Payload first;
  first.set_data("gate");
  writer->Write(first);
  while (writer->Write(PayloadOf(5000))) {
  }
  EXPECT_EQ(writer->Finish().code(), absl::StatusCode::kDeadlineExceeded);
  Await([&] {
    const GateState state = Look(other.get(), "gate");
    return state.entered() == state.cancelled();
  });
  ExpectServes(stub.get());
}

TEST_P(Conformance, ADeadlineEndsAReaderThatWaits) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  context.set_timeout(absl::Milliseconds(50));
  const auto stream = stub->Chat(&context);
  Payload message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kDeadlineExceeded);
  ExpectServes(stub.get());
}

TEST_P(Conformance, ManyStreamsShareAConnection) {
  StartServer();
  const Stub stub = Connect();
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::vector<std::unique_ptr<ClientContext>> contexts;
      std::vector<std::unique_ptr<ClientReaderWriterInterface<Payload, Payload>>> streams;
      for (int s = 0; s < 5; ++s) {
        contexts.push_back(std::make_unique<ClientContext>());
        streams.push_back(stub->Chat(contexts.back().get()));
      }
      Payload message;
      for (int i = 0; i < 100; ++i) {
        for (int s = 0; s < 5; ++s) ASSERT_TRUE(streams[s]->Write(PayloadOf(10, t * 1000 + s * 100 + i)));
        for (int s = 0; s < 5; ++s) {
          ASSERT_TRUE(streams[s]->Read(&message));
          ASSERT_EQ(message.number(), t * 1000 + s * 100 + i);
        }
      }
      for (int s = 0; s < 5; ++s) {
        EXPECT_TRUE(streams[s]->WritesDone());
        EXPECT_FALSE(streams[s]->Read(&message));
        EXPECT_TRUE(streams[s]->Finish().ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(Conformance, AStreamOnAServiceThatIsNotThere) {
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  static const internal::Method method("/nearcall.testing.TestService/NoStream", internal::MethodType::kBidiStreaming);
  for (int i = 0; i < 2; ++i) {
    ClientContext context;
    ClientReaderWriter<Payload, Payload> stream(channel.get(), method, &context);
    while (stream.Write(PayloadOf(1000))) {
    }
    const absl::Status status = stream.Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  }
  ExpectServes(StubOn(channel).get());
}

}  // namespace
}  // namespace nearcall::testing
