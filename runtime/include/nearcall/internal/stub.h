#ifndef NEARCALL_INTERNAL_STUB_H_
#define NEARCALL_INTERNAL_STUB_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/client_context.h"

namespace nearcall {
namespace internal {

// The short form of a unary call, in terms of the long one: `stub->Method(request, options)`.
template <class Response, class Stub, class Request>
absl::StatusOr<Response> CallShort(Stub* stub, absl::Status (Stub::*method)(ClientContext*, const Request&, Response*),
                                   const Request& request, const CallOptions& options) {
  ClientContext context;
  options.ApplyTo(&context);
  Response response;
  absl::Status status = (stub->*method)(&context, request, &response);
  if (!status.ok()) return status;
  return response;
}

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_STUB_H_
