#ifndef NEARCALL_TESTS_TESTING_TEST_SERVICE_H_
#define NEARCALL_TESTS_TESTING_TEST_SERVICE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/testing/attached.h"
#include "tests/testing/gates.h"

namespace nearcall::testing {

// The service of test_service.proto.
//
// Threads: thread-safe. Blocks where the proto says so.
class TestServiceImpl : public TestService::Service {
 public:
  absl::Status Echo(ServerContext*, const Payload* request, Payload* response) override;
  absl::Status Produce(ServerContext*, const Payload* request, Payload* response) override;
  absl::Status Fail(ServerContext*, const FailRequest* request, Payload*) override;
  absl::Status Throw(ServerContext*, const ThrowRequest* request, Payload*) override;
  absl::Status Inspect(ServerContext* context, const InspectRequest* request, CallInfo* response) override;
  absl::Status Attach(ServerContext* context, const AttachRequest* request, AttachReply* response) override;
  absl::Status Block(ServerContext* context, const GateRequest* request, GateState* response) override;
  absl::Status Open(ServerContext*, const GateRequest* request, GateState* response) override;
  absl::Status Look(ServerContext*, const GateRequest* request, GateState* response) override;
  absl::Status Nest(ServerContext* context, const NestRequest* request, NestReply* response) override;
  absl::Status Up(ServerContext*, ServerReader<Payload>* reader, Payload* response) override;
  absl::Status Down(ServerContext* context, const DownRequest* request, ServerWriter<Payload>* writer) override;
  absl::Status Chat(ServerContext* context, ServerReaderWriter<Payload, Payload>* stream) override;
  absl::Status BlockUp(ServerContext* context, ServerReader<Payload>* reader, Payload* response) override;
  absl::Status HangUp(ServerContext*, ServerReaderWriter<Payload, Payload>* stream) override;

 private:
  friend class CallbackTestService;
  // Adds what is asked for to the answer.
  static void AddMetadata(ServerContext* context, const google::protobuf::RepeatedPtrField<Pair>& initial,
                          const google::protobuf::RepeatedPtrField<Pair>& trailing);
  // The channel to the first server of a Nest request, and the rest of the request.
  std::shared_ptr<Channel> NextNest(const NestRequest& request, NestRequest* rest);

  Gates gates_;
  absl::Mutex kept_mu_;
  std::vector<Buffer> kept_ ABSL_GUARDED_BY(kept_mu_);
  absl::Mutex mu_;
  std::map<std::string, std::shared_ptr<Channel>> channels_ ABSL_GUARDED_BY(mu_);
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_TEST_SERVICE_H_
