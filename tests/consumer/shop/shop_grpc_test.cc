// gRPC's generated classes in a workspace of their own, over nearcall's addresses.

#include <memory>

#include "common/money.pb.h"
#include "google/protobuf/empty.pb.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "shop/v1/shop_grpc.nearcall.h"

namespace consumer {
namespace {

class ShopImpl final : public shop::v1::Shop::Service {
  grpc::Status Buy(grpc::ServerContext*, const shop::v1::Order* order, common::Money* price) override {
    price->set_cents(order->count() * 250);
    return grpc::Status::OK;
  }
};

TEST(ShopGrpcTest, GrpcsServiceAndStubMeetOverNearcall) {
  ShopImpl shop;
  const std::unique_ptr<nearcall::Service> service = shop::v1::nearcall_grpc::Shop::NewService(&shop);
  nearcall::ServerBuilder builder;
  builder.AddListeningPort("inproc:shop").RegisterService(service.get());
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server.ok()) << server.status();

  const std::unique_ptr<shop::v1::Shop::StubInterface> stub =
      shop::v1::nearcall_grpc::Shop::NewStub(nearcall::CreateChannel("inproc:shop"));
  grpc::ClientContext context;
  shop::v1::Order order;
  order.set_count(3);
  common::Money price;
  const grpc::Status status = stub->Buy(&context, order, &price);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(price.cents(), 750);
}

}  // namespace
}  // namespace consumer
