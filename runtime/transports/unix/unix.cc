// `unix:NAME`: frames over a Unix stream socket. `unix-abstract:NAME`: the same, in the abstract namespace.

#include "runtime/stream/unix_transport.h"

namespace nearcall {
namespace {

const TransportRegistration unix_file("unix", new UnixTransport({protocol::SOCKET}));
const TransportRegistration unix_abstract("unix-abstract",
                                          new UnixTransport({protocol::SOCKET}, UnixTransport::Namespace::kAbstract));

}  // namespace
}  // namespace nearcall
