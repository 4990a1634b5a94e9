#ifndef NEARCALL_TESTS_COROUTINES_FIXTURE_H_
#define NEARCALL_TESTS_COROUTINES_FIXTURE_H_

#include <atomic>
#include <coroutine>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "nearcall/coroutine.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/testing/resources.h"
#include "tests/testing/test_service.h"

namespace nearcall::testing {

// Where coroutines wait until somebody opens.
//
// Threads: thread-safe. Who opens it resumes them.
class CoGate {
 public:
  auto Pass() { return Passing{this}; }
  void Open();
  int waiting() const;

 private:
  struct Passing {
    CoGate* gate;
    bool await_ready() const { return false; }
    ABSL_ATTRIBUTE_NOINLINE bool await_suspend(std::coroutine_handle<> caller) const {
      CoGate* const there = gate;
      absl::MutexLock lock(&there->mu_);
      if (there->open_) return false;
      there->waiting_.push_back(caller);
      return true;
    }
    void await_resume() const {}
  };

  mutable absl::Mutex mu_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::coroutine_handle<>> waiting_ ABSL_GUARDED_BY(mu_);
};

// Counts the frames that it is in: those of coroutines that have begun and not gone.
class Frame {
 public:
  explicit Frame(std::atomic<int>* count) : count_(count) { ++*count_; }
  Frame(const Frame& other) : Frame(other.count_) {}
  ~Frame() { --*count_; }

 private:
  std::atomic<int>* const count_;
};

// TestService once more, all of coroutines. Where it differs:
//   Block     waits at gate(), or with a gate's name for `next`'s Block
//   Nest      calls Echo of `next` and Nest without addresses ends there
//   BlockUp   throws after the first message
//   HangUp    reads one message, and ends once the call is cancelled
//
// Threads: thread-safe.
class CoTestService final : public TestService::CallbackService {
 public:
  // Another service to call.
  TestService::StubInterface* next = nullptr;
  CoGate gate;
  std::atomic<int> frames{0};
  std::atomic<int> cancelled{0};  // coroutines that saw that their call was

  ServerUnaryReactor* Echo(CallbackServerContext* context, const Payload* request, Payload* response) override;
  ServerUnaryReactor* Fail(CallbackServerContext* context, const FailRequest* request, Payload* response) override;
  ServerUnaryReactor* Throw(CallbackServerContext* context, const ThrowRequest* request, Payload* response) override;
  ServerUnaryReactor* Block(CallbackServerContext* context, const GateRequest* request, GateState* response) override;
  ServerUnaryReactor* Nest(CallbackServerContext* context, const NestRequest* request, NestReply* response) override;
  ServerReadReactor<Payload>* Up(CallbackServerContext* context, Payload* response) override;
  ServerReadReactor<Payload>* BlockUp(CallbackServerContext* context, Payload* response) override;
  ServerWriteReactor<Payload>* Down(CallbackServerContext* context, const DownRequest* request) override;
  ServerBidiReactor<Payload, Payload>* Chat(CallbackServerContext* context) override;
  ServerBidiReactor<Payload, Payload>* HangUp(CallbackServerContext* context) override;

 private:
  Task<absl::Status> Wait(ServerContext* context, const GateRequest* request, GateState* response, Frame frame);
  Task<absl::Status> CallNext(ServerContext* context, NestReply* response, Frame frame);
  Task<absl::Status> SeeCancellation(ServerContext* context, CoServerReaderWriter<Payload, Payload>* stream,
                                     Frame frame);
};

// Two servers in this process, over the transport that the parameter names: one whose handlers block, and one of
// coroutines that can call the former; and a channel to each. The test ends with the descriptors, threads, mappings and
// coroutines that it began with.
class CoroutineTest : public ::testing::TestWithParam<std::string> {
 protected:
  CoroutineTest();
  ~CoroutineTest() override;
  void TearDown() override;

  const std::string& co_address() const { return co_server_->addresses().front(); }

  TestServiceImpl service_;
  CoTestService co_service_;
  std::unique_ptr<Server> server_, co_server_;
  std::unique_ptr<TestService::Stub> stub_, co_stub_;

 private:
  std::unique_ptr<Server> Serve(const std::string& name, Service* service);

  const Resources before_;
  std::string directory_;
};

inline Payload PayloadOf(int64_t number, size_t size = 0) {
  Payload payload;
  payload.set_number(number);
  payload.set_data(std::string(size, 'x'));
  return payload;
}

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_COROUTINES_FIXTURE_H_
