#ifndef NEARCALL_INTERNAL_STUB_H_
#define NEARCALL_INTERNAL_STUB_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/channel.h"
#include "nearcall/client_context.h"
#include "nearcall/client_reactor.h"

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

// The reactor form of a unary call, in terms of the callback form.
inline void BindUnary(std::shared_ptr<Channel> channel, const Method* method, ClientContext* context,
                      OutMessage request, InMessage response, ClientUnaryReactor* reactor) {
  reactor->Bind([channel = std::move(channel), method, context, request,
                 response](std::function<void(absl::Status)> done) {
    channel->UnaryCallAsync(*method, context, request, response, std::move(done));
  });
}

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_STUB_H_
