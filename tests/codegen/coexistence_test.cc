// One binary with gRPC's generated code and ours for the same service.

#include "tests/codegen/coexistence.h"

#include "gtest/gtest.h"

namespace {

TEST(CoexistenceTest, EachSideSeesItsOwn) {
  const GreeterTypes grpc = GrpcGreeter();
  const GreeterTypes nearcall = NearcallGreeter();
  EXPECT_EQ(grpc.unimplemented, "grpc: ");
  EXPECT_EQ(nearcall.unimplemented, "nearcall: /helloworld.Greeter/SayHello is not implemented");
  EXPECT_NE(*grpc.service, *nearcall.service);
  EXPECT_NE(*grpc.stub, *nearcall.stub);
}

TEST(CoexistenceTest, BothRun) {
  EXPECT_EQ(GreetOverGrpc("you"), "gRPC greets you");
  EXPECT_EQ(GreetOverNearcall("you"), "nearcall greets you");
}

}  // namespace
