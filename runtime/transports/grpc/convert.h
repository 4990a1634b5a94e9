#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_CONVERT_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_CONVERT_H_

#include <cstdint>
#include <map>

#include "absl/status/status.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/string_ref.h"
#include "nearcall/internal/message.h"
#include "nearcall/metadata.h"
#include "runtime/base/clock.h"

namespace nearcall::grpc_transport {

// What nearcall and gRPC each say in their own types.

// `message` must have been asked for its ByteSize just before. A message that may wait for the next one (buffer_hint)
// goes at once: what gRPC was told to hold back it sends with the stream's next message only, whatever else happens.
grpc::ByteBuffer ToGrpc(const internal::OutMessage& message, size_t size);
// False when the bytes are no such message.
bool FromGrpc(const grpc::ByteBuffer& bytes, internal::InMessage message);

// Points in time on the monotonic clock; kNever is gRPC's infinite future.
gpr_timespec ToGrpc(int64_t deadline);
int64_t FromGrpc(gpr_timespec deadline);

// Payloads travel as the details of a google.rpc.Status (nearcall/status_details.h); what does not fit into a head is
// left out. With `keep_delivery` also what says whether a handler may have seen the call (nearcall/delivery.h).
grpc::Status ToGrpc(const absl::Status& status, bool keep_delivery = false);
absl::Status FromGrpc(const grpc::Status& status);

// Adds the pairs that are the application's: not gRPC's own, nor those that HTTP brings.
using GrpcMetadata = std::multimap<grpc::string_ref, grpc::string_ref>;
void FromGrpc(const GrpcMetadata& from, Metadata* to);

// What is said of a call.
absl::Status TooLargeToSend(size_t size, int limit);
absl::Status NoAttachments();
inline bool FitsLimit(size_t size, int limit) { return limit < 0 || size <= static_cast<size_t>(limit); }

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_CONVERT_H_
