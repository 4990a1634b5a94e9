#ifndef NEARCALL_RUNTIME_INTERCEPTORS_INTERCEPTING_HANDLER_H_
#define NEARCALL_RUNTIME_INTERCEPTORS_INTERCEPTING_HANDLER_H_

#include <memory>
#include <vector>

#include "nearcall/interceptor.h"
#include "nearcall/internal/method.h"
#include "nearcall/internal/server_call.h"

namespace nearcall {

using ServerInterceptors = std::vector<std::shared_ptr<ServerInterceptor>>;

// A handler that has `inner` serve the calls of `method`, under the eyes of `interceptors`. All three must outlive it. A
// method without a name stands for whatever is called.
std::unique_ptr<internal::MethodHandler> Intercept(internal::MethodHandler* inner, const internal::Method& method,
                                                   const ServerInterceptors* interceptors);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_INTERCEPTORS_INTERCEPTING_HANDLER_H_
