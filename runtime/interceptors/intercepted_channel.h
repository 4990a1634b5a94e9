#ifndef NEARCALL_RUNTIME_INTERCEPTORS_INTERCEPTED_CHANNEL_H_
#define NEARCALL_RUNTIME_INTERCEPTORS_INTERCEPTED_CHANNEL_H_

#include <memory>
#include <vector>

#include "nearcall/channel.h"
#include "nearcall/interceptor.h"

namespace nearcall {

// A channel whose calls go through `inner`, under the eyes of `interceptors`; `inner` itself where there are none.
std::shared_ptr<Channel> Intercept(std::shared_ptr<Channel> inner,
                                   const std::vector<std::shared_ptr<ClientInterceptor>>& interceptors);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_INTERCEPTORS_INTERCEPTED_CHANNEL_H_
