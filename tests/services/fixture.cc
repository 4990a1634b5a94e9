#include "tests/services/fixture.h"

namespace nearcall::testing {

ServicesTest::ServicesTest() : TransportTest(testing::Setup{GetParam()}) {}

void ServicesTest::Start() {
  builder_.AddListeningPort(AddressForServer());
  builder_.RegisterService(service());
  absl::StatusOr<std::unique_ptr<Server>> server = builder_.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  channel_ = CreateChannel(server_->addresses().front(), channel_options_);
}

void ServicesTest::TearDown() {
  channel_ = nullptr;
  server_ = nullptr;
  TransportTest::TearDown();
}

}  // namespace nearcall::testing
