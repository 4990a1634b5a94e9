#ifndef NEARCALL_NEARCALL_H_
#define NEARCALL_NEARCALL_H_

// The whole public contract in one include.

#include "nearcall/buffer.h"
#include "nearcall/channel.h"
#include "nearcall/client_context.h"
#include "nearcall/client_reactor.h"
#include "nearcall/client_stream.h"
#include "nearcall/delivery.h"
#include "nearcall/generic.h"
#include "nearcall/health.h"
#include "nearcall/interceptor.h"
#include "nearcall/metadata.h"
#include "nearcall/metrics.h"
#include "nearcall/peer.h"
#include "nearcall/server.h"
#include "nearcall/server_context.h"
#include "nearcall/server_reactor.h"
#include "nearcall/server_stream.h"
#include "nearcall/service.h"
#include "nearcall/spin.h"
#include "nearcall/status_details.h"

#endif  // NEARCALL_NEARCALL_H_
