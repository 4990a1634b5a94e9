// services_namespace: one translation unit may see gRPC's generated code and ours.

#include "gtest/gtest.h"
#include "tests/codegen/testdata/greeter.grpc.pb.h"
#include "tests/codegen/testdata/greeter_mock.nearcall.h"

namespace {

TEST(NamespaceTest, BothInOneTranslationUnit) {
  const helloworld::local::v1::Greeter::Service ours;
  const helloworld::Greeter::Service grpcs;
  const helloworld::local::v1::MockGreeterStub mock;
  EXPECT_NE(typeid(ours), typeid(grpcs));
  EXPECT_STREQ(helloworld::local::v1::Greeter::service_full_name(), "helloworld.Greeter");
  EXPECT_EQ(ours.entries()[0].method->name(), "/helloworld.Greeter/SayHello");
}

}  // namespace
