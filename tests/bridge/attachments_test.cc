// Attachments across a bridge: both of its sides can carry them.

#include <unistd.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "nearcall/bridge.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "runtime/base/fd.h"
#include "tests/testing/attached.h"
#include "tests/testing/transport_test.h"

namespace nearcall::testing {
namespace {

class BridgedAttachments : public TransportTest {
 protected:
  BridgedAttachments() : TransportTest({MechanismNamed("shm"), Where::kOwnProcess}) {}
};

TEST_F(BridgedAttachments, GoBothWays) {
  StartServer();
  Bridge bridge(CreateChannel(address()));
  ServerBuilder builder;
  builder.RegisterCallbackGenericService(&bridge);
  builder.AddListeningPort("unix:" + directory() + "/bridge.sock");
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();

  const std::shared_ptr<Channel> channel = CreateChannel((*server)->addresses().front());
  const auto stub = TestService::NewStub(channel);
  const absl::StatusOr<Buffer> buffer = channel->AllocateBuffer(100'000);
  ASSERT_TRUE(buffer.ok()) << buffer.status();
  FillWithPattern(*buffer);
  for (int i = 0; i < 3; ++i) {
    const Fd file = FileWith("over the bridge");
    ClientContext context;
    context.Attach(*buffer);
    context.AttachFd(file.get());
    AttachRequest request;
    request.add_sizes(50'000);
    request.set_files(1);
    AttachReply reply;
    const absl::Status status = stub->Attach(&context, request, &reply);
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_EQ(reply.buffers_size(), 1);
    EXPECT_EQ(reply.buffers(0).size(), 100'000);
    EXPECT_TRUE(reply.buffers(0).pattern());
    ASSERT_EQ(reply.files_size(), 1);
    EXPECT_EQ(reply.files(0), "over the bridge");
    ASSERT_EQ(context.attachments().size(), 1u);
    EXPECT_TRUE(HasPattern(context.attachments()[0]));
    const Fd back(context.TakeAttachedFd(0));
    EXPECT_EQ(TextIn(back.get()), "file 0");
  }
}

}  // namespace
}  // namespace nearcall::testing
