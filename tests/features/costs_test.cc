// What a call and a connection may cost: no allocations once warm, and little memory while idle.

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/features/feature_test.h"
#include "tests/testing/sanitizer.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

#if !NEARCALL_INSTRUMENTED  // a sanitizer has these functions for itself
// Every allocation of this program, from whatever library, comes by here.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);

void* malloc(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
}
#endif

namespace nearcall::testing {
namespace {

// Of this process, in KiB, as /proc/self/status has it.
int64_t StatusKib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(name + ":", 0) == 0) return std::atoll(line.c_str() + name.size() + 1);
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

class Costs : public FeatureTest {};

// Client and server are this process: both sides' allocations count.
TEST_P(Costs, AWarmCallAllocatesNothing) {
  if (NEARCALL_INSTRUMENTED) GTEST_SKIP() << "allocations are the sanitizer's";
  StartServer();
  const auto stub = TestService::NewStub(CreateChannel(address()));
  Payload request, response;
  request.set_data(std::string(64, 'x'));
  const auto call = [&] {
    ClientContext context;
    ASSERT_EQ(stub->Echo(&context, request, &response), absl::OkStatus());
  };
  for (int i = 0; i < 1000; ++i) call();
  // A thread of the server's may come or go meanwhile, and a handler that is preempted is taken for a long one: calls
  // then go to workers, through an inbox. Beside other work that may be so for many; it is not for all.
  int64_t fewest = INT64_MAX;
  int64_t after = 0;
  for (int attempt = 0; attempt < 20 && fewest >= 50; ++attempt) {
    const int64_t before = allocations;
    for (int i = 0; i < 1000; ++i) call();
    after = allocations;
    fewest = std::min(fewest, after - before);
  }
  EXPECT_LT(fewest, 50) << "in 1,000 calls";
  std::string* const counted = new std::string(100, 'x');
  EXPECT_GT(allocations, after) << "allocations are not counted";
  delete counted;
}

TEST_P(Costs, AnIdleConnectionIsSmall) {
  if (NEARCALL_INSTRUMENTED) GTEST_SKIP() << "a sanitizer's shadow of the memory would count, too";
  constexpr int kConnections = 200;
  StartServer();
  std::vector<std::unique_ptr<TestService::Stub>> stubs;
  const auto connect = [&] {
    stubs.push_back(TestService::NewStub(CreateChannel(address())));
    ASSERT_TRUE(stubs.back()->Echo(Payload()).ok());
  };
  for (int i = 0; i < 20; ++i) connect();
  const int64_t before = StatusKib("RssAnon");
  for (int i = 0; i < kConnections; ++i) connect();
  const int64_t each = (StatusKib("RssAnon") - before) / kConnections;
  // Both sides, what they do not share. The ring's memory, 2 x 68 KiB, comes on top of it (segment_test.cc).
  EXPECT_LE(each, 32) << "KiB";
}

std::vector<Mechanism> WithoutInproc() {
  std::vector<Mechanism> mechanisms;
  for (const Mechanism& mechanism : AllMechanisms()) {
    if (mechanism.between_processes) mechanisms.push_back(mechanism);
  }
  return mechanisms;
}

INSTANTIATE_TEST_SUITE_P(All, Costs, ::testing::ValuesIn(WithoutInproc()), NameOfMechanism);

// Of the memory that the sides of shm connections share, in KiB: what was touched.
int64_t SharedKib() { return StatusKib("RssShmem"); }

class SharedMemory : public TransportTest {
 protected:
  SharedMemory() : TransportTest({MechanismNamed("shm"), Where::kThisProcess}) {}
};

// A ring begins small, grows with the messages, and stops.
TEST_F(SharedMemory, GrowsWithTheMessagesUpToACap) {
  ServerOptions options;
  options.max_receive_message_bytes = -1;
  StartServer(options);
  ChannelOptions unlimited;
  unlimited.max_receive_message_bytes = -1;
  const auto stub = TestService::NewStub(CreateChannel(address(), unlimited));
  const auto echo = [&](size_t size) {
    Payload request, response;
    request.set_data(std::string(size, 'x'));
    ClientContext context;
    ASSERT_EQ(stub->Echo(&context, request, &response), absl::OkStatus());
    ASSERT_EQ(response.data(), request.data());
  };
  const int64_t none = SharedKib();
  for (int i = 0; i < 10'000; ++i) echo(1000);
  // Each of two rings is mapped by both sides, and a second time behind itself.
  constexpr int64_t kRingKib = 2 * 2 * (4 + 2 * 64);
  const int64_t small = SharedKib();
  EXPECT_LE(small - none, kRingKib);
  echo(200'000);
  const int64_t medium = SharedKib();
  EXPECT_GE(medium - small, 2 * 400) << "two frames each way, mapped by the writer";
  EXPECT_LE(medium - small, 2 * 2 * 512);
  echo(1 << 20);
  const int64_t large = SharedKib();
  EXPECT_GT(large, medium);
  for (const size_t size : {4 << 20, 16 << 20, 1 << 20, 100}) echo(size);
  EXPECT_LE(SharedKib() - none, kRingKib + 2 * 2 * 36 * 64) << "the cap";
}

}  // namespace
}  // namespace nearcall::testing
