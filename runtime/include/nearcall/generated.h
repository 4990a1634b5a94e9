#ifndef NEARCALL_GENERATED_H_
#define NEARCALL_GENERATED_H_

// Everything that the code of protoc-gen-nearcall uses, and nothing else. Users need not include it.

#include <functional>
#include <memory>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nearcall/channel.h"
#include "nearcall/client_context.h"
#include "nearcall/client_reactor.h"
#include "nearcall/client_stream.h"
#include "nearcall/internal/awaitable_call.h"
#include "nearcall/internal/callback_handlers.h"
#include "nearcall/internal/handlers.h"
#include "nearcall/internal/method.h"
#include "nearcall/internal/stub.h"
#include "nearcall/server_context.h"
#include "nearcall/server_reactor.h"
#include "nearcall/server_stream.h"
#include "nearcall/service.h"

#endif  // NEARCALL_GENERATED_H_
