#ifndef NEARCALL_TESTS_INTEROP_INTEROP_SERVICE_H_
#define NEARCALL_TESTS_INTEROP_INTEROP_SERVICE_H_

#include "absl/status/status.h"
#include "nearcall/nearcall.h"
#include "protos/testing/interop/messages.pb.h"
#include "protos/testing/interop/test.nearcall.h"

namespace nearcall::interop {

// The server of gRPC's interoperability tests. Every method sends back the metadata that the tests look for
// (x-grpc-test-echo-initial, x-grpc-test-echo-trailing-bin), and ends with the status that the request asks for.
//
// Threads: thread-safe. Blocks where a request asks for pauses between responses, and while its stream's reader is
// slow. Errors: INVALID_ARGUMENT for a size that is negative, a type of payload that does not exist, and a request that
// says that it must have come compressed: nothing is.
class InteropService final : public grpc::testing::TestService::Service {
 public:
  absl::Status EmptyCall(ServerContext* context, const grpc::testing::Empty* request,
                         grpc::testing::Empty* response) override;
  absl::Status UnaryCall(ServerContext* context, const grpc::testing::SimpleRequest* request,
                         grpc::testing::SimpleResponse* response) override;
  absl::Status CacheableUnaryCall(ServerContext* context, const grpc::testing::SimpleRequest* request,
                                  grpc::testing::SimpleResponse* response) override;
  absl::Status StreamingOutputCall(ServerContext* context, const grpc::testing::StreamingOutputCallRequest* request,
                                   ServerWriter<grpc::testing::StreamingOutputCallResponse>* writer) override;
  absl::Status StreamingInputCall(ServerContext* context,
                                  ServerReader<grpc::testing::StreamingInputCallRequest>* reader,
                                  grpc::testing::StreamingInputCallResponse* response) override;
  absl::Status FullDuplexCall(ServerContext* context,
                              ServerReaderWriter<grpc::testing::StreamingOutputCallResponse,
                                                 grpc::testing::StreamingOutputCallRequest>* stream) override;
  absl::Status HalfDuplexCall(ServerContext* context,
                              ServerReaderWriter<grpc::testing::StreamingOutputCallResponse,
                                                 grpc::testing::StreamingOutputCallRequest>* stream) override;
};

}  // namespace nearcall::interop

#endif  // NEARCALL_TESTS_INTEROP_INTEROP_SERVICE_H_
