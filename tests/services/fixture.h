#ifndef NEARCALL_TESTS_SERVICES_FIXTURE_H_
#define NEARCALL_TESTS_SERVICES_FIXTURE_H_

#include <memory>

#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/testing/test_service.h"
#include "tests/testing/transport_test.h"

namespace nearcall::testing {

// A server of TestService in this process, with what a test adds to it, over the transport that the parameter names;
// and a channel to it.
class ServicesTest : public TransportTest, public ::testing::WithParamInterface<Mechanism> {
 protected:
  ServicesTest();
  void TearDown() override;

  // Starts the server of `builder_`, and connects.
  void Start();
  // What is served.
  virtual Service* service() { return &service_; }
  // A stub of S on the channel.
  template <class S>
  std::unique_ptr<typename S::Stub> StubOf() const {
    return S::NewStub(channel_);
  }

  ServerBuilder builder_;
  TestServiceImpl service_;
  ChannelOptions channel_options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<Channel> channel_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_SERVICES_FIXTURE_H_
