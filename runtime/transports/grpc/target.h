#ifndef NEARCALL_RUNTIME_TRANSPORTS_GRPC_TARGET_H_
#define NEARCALL_RUNTIME_TRANSPORTS_GRPC_TARGET_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace nearcall::grpc_transport {

// Targets as gRPC takes them: what stands behind `grpc:` in an address.

// Whether what travels to or from `target` stays on this machine, as far as the text says: loopback, or a Unix socket.
bool StaysOnThisMachine(absl::string_view target);

// The host and port of a target to listen on; false for one that is not of that form.
bool SplitHostPort(absl::string_view target, std::string* host, std::string* port);

// Why a server could not bind `target`, which gRPC does not tell.
absl::Status WhyNotBound(absl::string_view target);

}  // namespace nearcall::grpc_transport

#endif  // NEARCALL_RUNTIME_TRANSPORTS_GRPC_TARGET_H_
