#include "tests/services/fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace nearcall::testing {

ServicesTest::ServicesTest() : before_(Resources::Of(getpid())) {
  char name[] = "/tmp/nearcall.XXXXXX";
  directory_ = mkdtemp(name);
}

ServicesTest::~ServicesTest() { rmdir(directory_.c_str()); }

void ServicesTest::Start() {
  builder_.AddListeningPort(absl::StrCat(GetParam(), ":", directory_, "/s"));
  builder_.RegisterService(service());
  absl::StatusOr<std::unique_ptr<Server>> server = builder_.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  channel_ = CreateChannel(server_->addresses().front(), channel_options_);
}

void ServicesTest::TearDown() {
  channel_ = nullptr;
  server_ = nullptr;
  AwaitNoMoreThan(before_, getpid());
}

std::string TransportName(const ::testing::TestParamInfo<std::string>& info) { return info.param; }

}  // namespace nearcall::testing
