#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/money.pb.h"
#include "consumers_own_googletest.h"
#include "google/protobuf/empty.pb.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "shop/v1/shop.nearcall.h"

namespace consumer {
namespace {

using common::Money;
using google::protobuf::Empty;
using shop::v1::Audit;
using shop::v1::Order;
using shop::v1::Shop;

class ShopImpl final : public Shop::Service {
  absl::Status Buy(nearcall::ServerContext*, const Order* order, Money* price) override {
    if (order->count() <= 0) return absl::OutOfRangeError("buy something");
    price->set_currency("EUR");
    price->set_cents(order->count() * 250);
    return absl::OkStatus();
  }
  absl::Status Watch(nearcall::ServerContext*, const Empty*, nearcall::ServerWriter<Order>* orders) override {
    for (int i = 1; i <= 3; ++i) {
      Order order;
      order.set_count(i);
      if (!orders->Write(order)) break;
    }
    return absl::OkStatus();
  }
};

class AuditImpl final : public Audit::Service {
  absl::Status Total(nearcall::ServerContext*, const Empty*, Money* total) override {
    total->set_cents(1234);
    return absl::OkStatus();
  }
};

class ShopTest : public testing::Test {
 protected:
  void SetUp() override {
    char directory[] = "/tmp/nearcall-consumer-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    nearcall::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("local:", directory_, "/shop"));
    builder.AddListeningPort("tcp:127.0.0.1:0");
    builder.RegisterService(&shop_);
    builder.RegisterService(&audit_);
    absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown();
    rmdir(directory_.c_str());
  }

  std::string directory_;
  ShopImpl shop_;
  AuditImpl audit_;
  std::unique_ptr<nearcall::Server> server_;
};

TEST_F(ShopTest, CallsOverEachAddress) {
  const std::vector<std::string> carried_by = {"shm", "tcp"};
  for (size_t i = 0; i < carried_by.size(); ++i) {
    SCOPED_TRACE(server_->addresses()[i]);
    std::shared_ptr<nearcall::Channel> channel = nearcall::CreateChannel(server_->addresses()[i]);
    std::unique_ptr<Shop::Stub> shop = Shop::NewStub(channel);
    std::unique_ptr<Audit::Stub> audit = Audit::NewStub(channel);

    Order order;
    order.set_count(4);
    Money price;
    nearcall::ClientContext context;
    const absl::Status bought = shop->Buy(&context, order, &price);
    ASSERT_TRUE(bought.ok()) << bought;
    EXPECT_EQ(price.cents(), 1000);
    EXPECT_EQ(context.transport(), carried_by[i]);

    EXPECT_EQ(shop->Buy(Order()).status(), absl::OutOfRangeError("buy something"));

    nearcall::ClientContext watch_context;
    std::unique_ptr<nearcall::ClientReader<Order>> orders = shop->Watch(&watch_context, Empty());
    int count = 0;
    while (orders->Read(&order)) EXPECT_EQ(order.count(), ++count);
    EXPECT_TRUE(orders->Finish().ok());
    EXPECT_EQ(count, 3);

    const absl::StatusOr<Money> total = audit->Total(Empty());
    ASSERT_TRUE(total.ok()) << total.status();
    EXPECT_EQ(total->cents(), 1234);
  }
}

// Options that are defined in nearcall's workspace, in a service that is defined in this one.
TEST_F(ShopTest, OptionsOfMethods) {
  const nearcall::internal::MethodTraits& total = audit_.entries().front().method->traits();
  EXPECT_TRUE(total.idempotent);
  EXPECT_EQ(total.timeout_ns, 10'000'000'000);
  EXPECT_EQ(shop_.entries().front().method->traits().timeout_ns, 0);
}

}  // namespace
}  // namespace consumer
