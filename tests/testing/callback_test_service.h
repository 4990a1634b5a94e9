#ifndef NEARCALL_TESTS_TESTING_CALLBACK_TEST_SERVICE_H_
#define NEARCALL_TESTS_TESTING_CALLBACK_TEST_SERVICE_H_

#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/testing/test_service.h"

namespace nearcall::testing {

// The service of test_service.proto in callback form. Where TestServiceImpl blocks, a reactor finishes later.
//
// Threads: thread-safe; blocks in nothing.
class CallbackTestService final : public TestService::CallbackService {
 public:
  ServerUnaryReactor* Echo(CallbackServerContext* context, const Payload* request, Payload* response) override;
  ServerUnaryReactor* Produce(CallbackServerContext* context, const Payload* request, Payload* response) override;
  ServerUnaryReactor* Fail(CallbackServerContext* context, const FailRequest* request, Payload* response) override;
  ServerUnaryReactor* Throw(CallbackServerContext* context, const ThrowRequest* request, Payload* response) override;
  ServerUnaryReactor* Attach(CallbackServerContext* context, const AttachRequest* request,
                             AttachReply* response) override;
  ServerUnaryReactor* Inspect(CallbackServerContext* context, const InspectRequest* request,
                              CallInfo* response) override;
  ServerUnaryReactor* Block(CallbackServerContext* context, const GateRequest* request, GateState* response) override;
  ServerUnaryReactor* Open(CallbackServerContext* context, const GateRequest* request, GateState* response) override;
  ServerUnaryReactor* Look(CallbackServerContext* context, const GateRequest* request, GateState* response) override;
  ServerUnaryReactor* Nest(CallbackServerContext* context, const NestRequest* request, NestReply* response) override;
  ServerReadReactor<Payload>* Up(CallbackServerContext* context, Payload* response) override;
  ServerWriteReactor<Payload>* Down(CallbackServerContext* context, const DownRequest* request) override;
  ServerBidiReactor<Payload, Payload>* Chat(CallbackServerContext* context) override;
  ServerReadReactor<Payload>* BlockUp(CallbackServerContext* context, Payload* response) override;
  ServerBidiReactor<Payload, Payload>* HangUp(CallbackServerContext* context) override;

 private:
  TestServiceImpl blocking_;  // for what does not block
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_CALLBACK_TEST_SERVICE_H_
