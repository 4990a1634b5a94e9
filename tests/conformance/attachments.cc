// What goes beside the messages of a call: buffers and file descriptors, both ways.

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "runtime/base/fd.h"
#include "tests/conformance/conformance.h"
#include "tests/testing/attached.h"
#include "tests/testing/resources.h"

namespace nearcall::testing {
namespace {

Buffer Allocate(Channel* channel, size_t size) {
  absl::StatusOr<Buffer> buffer = channel->AllocateBuffer(size);
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  if (!buffer.ok()) return Buffer();
  EXPECT_EQ(buffer->size(), size);
  FillWithPattern(*buffer);
  return *buffer;
}

// Calls with what is attached to `context`; expects that the server finds good buffers of `sizes`.
AttachReply Call(TestService::StubInterface* stub, ClientContext* context, const std::vector<size_t>& sizes,
                 const AttachRequest& request = AttachRequest()) {
  AttachReply reply;
  const absl::Status status = stub->Attach(context, request, &reply);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(reply.buffers_size(), static_cast<int>(sizes.size()));
  for (size_t i = 0; i < sizes.size() && static_cast<int>(i) < reply.buffers_size(); ++i) {
    const AttachReply::Buffer& buffer = reply.buffers(static_cast<int>(i));
    EXPECT_EQ(static_cast<size_t>(buffer.size()), sizes[i]);
    EXPECT_TRUE(buffer.pattern()) << "buffer " << i << " came changed";
    EXPECT_FALSE(buffer.writable());
  }
  return reply;
}

// How many of nearcall's shared memories are mapped by the process that serves.
int MappingsOf(pid_t pid) { return Resources::Of(pid).mappings; }

TEST_P(Conformance, BuffersGoWithTheRequest) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Stub stub = StubOn(channel);
  for (const size_t size : {0u, 1u, 4096u, 65'520u, 65'536u, 1'000'000u}) {
    SCOPED_TRACE(size);
    const Buffer buffer = Allocate(channel.get(), size);
    for (int i = 0; i < 3; ++i) {
      ClientContext context;
      context.Attach(buffer);
      Call(stub.get(), &context, {size});
      EXPECT_TRUE(context.attachments().empty());
    }
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, BuffersOfTheCallersOwnMemoryAreCopied) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  for (const size_t size : {10u, 100'000u}) {
    const Buffer buffer(size);
    FillWithPattern(buffer);
    context.Attach(buffer);
  }
  Call(stub.get(), &context, {10, 100'000});
}

TEST_P(Conformance, BuffersComeWithTheAnswer) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const Stub stub = Connect();
  AttachRequest request;
  request.add_sizes(5);
  request.add_sizes(300'000);
  std::vector<Buffer> kept;
  for (const int code : {0, 7}) {  // an answer without a message has them, too
    request.set_code(code);
    ClientContext context;
    AttachReply reply;
    EXPECT_EQ(static_cast<int>(stub->Attach(&context, request, &reply).code()), code);
    ASSERT_EQ(context.attachments().size(), 2u);
    EXPECT_EQ(context.attachments()[0].size(), 5u);
    EXPECT_EQ(context.attachments()[1].size(), 300'000u);
    for (const Buffer& buffer : context.attachments()) {
      EXPECT_TRUE(HasPattern(buffer));
      EXPECT_EQ(buffer.mutable_data(), nullptr);
      kept.push_back(buffer);
    }
  }
  for (const Buffer& buffer : kept) EXPECT_TRUE(HasPattern(buffer)) << "the calls are over, the bytes stay";
  EndServer(server());
  for (const Buffer& buffer : kept) EXPECT_TRUE(HasPattern(buffer)) << "the server is gone, the bytes stay";
}

TEST_P(Conformance, BuffersGoWithStreams) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Stub stub = StubOn(channel);
  const Buffer buffer = Allocate(channel.get(), 70'000);
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    context.Attach(buffer);
    const auto stream = stub->Chat(&context);
    Payload message;
    for (int k = 0; k < 3; ++k) {
      ASSERT_TRUE(stream->Write(PayloadOf(10, k)));
      ASSERT_TRUE(stream->Read(&message));
      EXPECT_EQ(message.number(), k);
    }
    stream->WritesDone();
    EXPECT_FALSE(stream->Read(&message));
    const absl::Status status = stream->Finish();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(context.attachments().size(), 1u);
    EXPECT_EQ(context.attachments()[0].size(), 70'000u);
    EXPECT_TRUE(HasPattern(context.attachments()[0]));
  }
}

TEST_P(Conformance, ManyCallsShareOneBuffer) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Buffer buffer = Allocate(channel.get(), 20'000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const Stub stub = StubOn(channel);
      for (int i = 0; i < 20; ++i) {
        ClientContext context;
        context.Attach(buffer);
        context.Attach(buffer);
        Call(stub.get(), &context, {20'000, 20'000});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Memory is used again once both sides are done with it, and not before.
TEST_P(Conformance, BuffersAreUsedAgain) {
  if (!mechanism().passes_fds) GTEST_SKIP() << "this transport copies";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Stub stub = StubOn(channel);
  ExpectServes(stub.get());  // the connection's own memory is there from here on
  const int before = MappingsOf(server()->pid());
  for (int i = 0; i < 200; ++i) {
    ClientContext context;
    context.Attach(Allocate(channel.get(), 100'000));
    AttachRequest request;
    request.add_sizes(100'000);
    Call(stub.get(), &context, {100'000}, request);
    ASSERT_EQ(context.attachments().size(), 1u);
    EXPECT_TRUE(HasPattern(context.attachments()[0]));
  }
  // One of each side, mapped on both.
  EXPECT_LE(MappingsOf(server()->pid()) - before, server_elsewhere() ? 2 : 4);
}

// A handler that keeps a handle finds the bytes as they were, whatever the caller does with its other buffers.
TEST_P(Conformance, AKeptBufferIsNotUsedAgain) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Stub stub = StubOn(channel);
  AttachRequest keep;
  keep.set_keep(true);
  const uint8_t* kept;
  {
    ClientContext context;
    const Buffer buffer = Allocate(channel.get(), 50'000);
    kept = buffer.data();
    context.Attach(buffer);
    Call(stub.get(), &context, {50'000}, keep);
  }
  if (mechanism().passes_fds) {
    for (int i = 0; i < 20; ++i) {
      EXPECT_NE(Allocate(channel.get(), 50'000).data(), kept) << "the server has it still";
      ExpectServes(stub.get());
    }
  }
  ClientContext other;
  Call(stub.get(), &other, {}, keep);  // lets the first one go
  if (mechanism().passes_fds) {
    std::vector<Buffer> others;
    Await([&] {
      others.push_back(Allocate(channel.get(), 50'000));
      ExpectServes(stub.get());
      return others.back().data() == kept;
    });
  }
}

TEST_P(Conformance, DescriptorsGoBothWays) {
  if (!mechanism().passes_fds) GTEST_SKIP() << "this transport passes none";
  StartServer();
  const Stub stub = Connect();
  for (int i = 0; i < 20; ++i) {
    ClientContext context;
    const Fd one = FileWith("one"), two = FileWith("two");
    context.AttachFd(one.get());
    context.AttachFd(two.get());
    AttachRequest request;
    request.set_give_back(true);
    request.set_files(2);
    const AttachReply reply = Call(stub.get(), &context, {}, request);
    ASSERT_EQ(reply.files_size(), 2);
    EXPECT_EQ(reply.files(0), "one");
    EXPECT_EQ(reply.files(1), "two");
    ASSERT_EQ(context.attached_fd_count(), 4u);
    const char* const expected[] = {"one", "two", "file 0", "file 1"};
    for (size_t k = 0; k < 3; ++k) {  // the context closes the last
      const Fd fd(context.TakeAttachedFd(k));
      EXPECT_EQ(TextIn(fd.get()), expected[k]);
      EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
      EXPECT_EQ(context.TakeAttachedFd(k), -1) << "once";
    }
    EXPECT_EQ(context.TakeAttachedFd(4), -1);
  }
}

TEST_P(Conformance, DescriptorsFailWhereTheyCannotGo) {
  if (mechanism().passes_fds) GTEST_SKIP() << "this transport passes them";
  StartServer();
  const Stub stub = Connect();
  AttachReply reply;
  const absl::StatusCode code =
      mechanism().attachments ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kUnimplemented;
  ClientContext context;
  context.AttachFd(0);
  EXPECT_EQ(stub->Attach(&context, AttachRequest(), &reply).code(), code);
  AttachRequest request;
  request.set_files(1);
  ClientContext with_answer;
  EXPECT_EQ(stub->Attach(&with_answer, request, &reply).code(), code);
  ExpectServes(stub.get());
}

TEST_P(Conformance, AttachmentsAreCounted) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Stub stub = StubOn(channel);
  const Buffer buffer = Allocate(channel.get(), 100);
  for (const size_t count : {63u, 64u, 65u}) {
    ClientContext context;
    for (size_t i = 0; i < count; ++i) context.Attach(buffer);
    AttachReply reply;
    const absl::Status status = stub->Attach(&context, AttachRequest(), &reply);
    if (count <= 64) {
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_EQ(static_cast<size_t>(reply.buffers_size()), count);
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    }
  }
  ExpectServes(stub.get());
}

// What is mapped has a limit on either side; a call beyond it fails alone.
TEST_P(Conformance, MappedBytesHaveALimit) {
  if (!mechanism().passes_fds) GTEST_SKIP() << "this transport copies";
  constexpr size_t kLimit = 1 << 20;
  ServerOptions server_options;
  server_options.max_mapped_bytes_per_connection = kLimit;
  ChannelOptions client_options;
  client_options.max_mapped_bytes = kLimit;
  StartServer(server_options);
  for (const size_t size : {kLimit - 4096, kLimit, kLimit + 1}) {
    SCOPED_TRACE(size);
    const std::shared_ptr<Channel> channel = CreateChannel(address(), client_options);
    const Stub stub = StubOn(channel);
    const absl::StatusCode code = size <= kLimit ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted;
    for (int i = 0; i < 2; ++i) {
      ClientContext context;
      context.Attach(Allocate(channel.get(), size));
      AttachReply reply;
      EXPECT_EQ(stub->Attach(&context, AttachRequest(), &reply).code(), code);
      AttachRequest request;
      request.add_sizes(static_cast<int64_t>(size));
      ClientContext with_answer;
      EXPECT_EQ(stub->Attach(&with_answer, request, &reply).code(), code);
      ExpectServes(stub.get());
    }
  }
}

// Copies count for what a connection may have buffered.
TEST_P(Conformance, CopiedAttachmentsHaveALimit) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  constexpr size_t kLimit = 1 << 20;
  ServerOptions server_options;
  server_options.max_buffered_bytes_per_connection = kLimit;
  ChannelOptions client_options;
  client_options.max_buffered_bytes = kLimit;
  StartServer(server_options);
  const Stub stub = StubOn(CreateChannel(address(), client_options));
  for (const size_t size : {kLimit - 1, kLimit, kLimit + 1}) {
    SCOPED_TRACE(size);
    const absl::StatusCode code = size <= kLimit ? absl::StatusCode::kOk : absl::StatusCode::kResourceExhausted;
    ClientContext context;
    context.Attach(Buffer(size));
    AttachReply reply;
    EXPECT_EQ(stub->Attach(&context, AttachRequest(), &reply).code(), code);
    ExpectServes(stub.get());
    if (size > kLimit || mechanism().passes_fds) continue;
    AttachRequest request;
    request.add_sizes(static_cast<int64_t>(size));
    ClientContext with_answer;
    EXPECT_TRUE(stub->Attach(&with_answer, request, &reply).ok());
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, AttachedDescriptorsHaveALimit) {
  if (!mechanism().passes_fds) GTEST_SKIP() << "this transport passes none";
  for (const int limited : {0, 1, 2}) {
    ServerOptions options;
    if (limited == 0) options.max_attached_fds_per_connection = 3;
    if (limited == 1) options.max_attached_fds_per_user = 3;
    if (limited == 2) options.max_attached_fds = 3;
    StartServer(options);
    const Stub stub = Connect();
    const Fd file = FileWith("file");
    for (const int count : {2, 3, 4, 3}) {
      ClientContext context;
      for (int i = 0; i < count; ++i) context.AttachFd(file.get());
      AttachReply reply;
      const absl::Status status = stub->Attach(&context, AttachRequest(), &reply);
      if (count <= 3) {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_EQ(reply.files_size(), count);
      } else {
        EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      }
    }
    ExpectServes(stub.get());
  }
}

TEST_P(Conformance, AttachmentsOverGrpcAreUnimplemented) {
  if (mechanism().attachments) GTEST_SKIP() << "this transport carries them";
  StartServer();
  const Stub stub = Connect();
  AttachReply reply;
  ClientContext context;
  context.Attach(Buffer(10));
  EXPECT_EQ(stub->Attach(&context, AttachRequest(), &reply).code(), absl::StatusCode::kUnimplemented);
  AttachRequest request;
  request.add_sizes(10);
  ClientContext with_answer;
  EXPECT_EQ(stub->Attach(&with_answer, request, &reply).code(), absl::StatusCode::kUnimplemented);
}

// A call that ends while its attachments are on their way leaves nothing behind, and the connection serves on.
TEST_P(Conformance, CallsThatEndEarlyTakeTheirAttachmentsAlong) {
  if (!mechanism().attachments) GTEST_SKIP() << "this transport carries no attachments";
  StartServer();
  const std::shared_ptr<Channel> channel = CreateChannel(address());
  const Stub stub = StubOn(channel);
  const Buffer buffer(3'000'000);
  for (int i = 0; i < 20; ++i) {
    ClientContext context;
    context.Attach(buffer);
    context.Attach(Allocate(channel.get(), 1000));
    std::thread canceller([&, i] {
      absl::SleepFor(absl::Microseconds(100 * i));
      context.TryCancel();
    });
    AttachReply reply;
    const absl::Status status = stub->Attach(&context, AttachRequest(), &reply);
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    canceller.join();
  }
  ExpectServes(stub.get());
}

}  // namespace
}  // namespace nearcall::testing
