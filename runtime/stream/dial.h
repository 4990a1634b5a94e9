#ifndef NEARCALL_RUNTIME_STREAM_DIAL_H_
#define NEARCALL_RUNTIME_STREAM_DIAL_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "nearcall/peer.h"
#include "protos/nearcall/protocol.pb.h"
#include "runtime/base/fd.h"
#include "runtime/engine/transport.h"

namespace nearcall {

// The client's way from a connected socket to a session: shakes hands, asking for `carriers` in this order, and makes
// the session for the one that the server chose. `peer.transport` and the scheme in `peer.address` are replaced where
// the carrier has a name of its own.
//
// *unusable, where not null, is set when the server agreed on a carrier that then could not be set up on this side: the
// caller may try again, with a new socket, without it.
absl::StatusOr<std::shared_ptr<ClientConnection>> Establish(Fd socket, Peer peer,
                                                            const std::vector<protocol::Carrier>& carriers,
                                                            const DialOptions& options,
                                                            protocol::Carrier* unusable = nullptr);

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_DIAL_H_
