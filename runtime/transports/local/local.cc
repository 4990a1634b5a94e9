// `local:NAME`: the transport layer chooses. Both sides meet on the Unix socket; the ring carries the call when both
// can have it, the socket otherwise.

#include "runtime/stream/unix_transport.h"

namespace nearcall {
namespace {

const TransportRegistration registration("local", new UnixTransport({protocol::RING, protocol::SOCKET}));

}  // namespace
}  // namespace nearcall
