#include "runtime/stream/dial.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/step.h"
#include "runtime/stream/carrier.h"
#include "runtime/stream/handshake.h"
#include "runtime/wire/frame.h"

namespace nearcall {

absl::StatusOr<std::shared_ptr<ClientConnection>> Establish(Fd socket, Peer peer,
                                                            const std::vector<protocol::Carrier>& carriers,
                                                            const DialOptions& options, protocol::Carrier* unusable) {
  protocol::Hello hello;
  hello.set_min_version(kProtocolVersion);
  hello.set_max_version(kProtocolVersion);
  hello.set_agent(AgentName());
  hello.set_stream_window(static_cast<uint32_t>(std::max(options.channel->stream_window_bytes, 1)));
  // At most one of the carriers brings descriptors: the ring.
  std::unique_ptr<CarrierDriver::Offer> offer;
  std::vector<int> fds;
  for (const protocol::Carrier carrier : carriers) {
    CarrierDriver* const driver = FindCarrier(carrier);
    if (driver == nullptr) continue;
    absl::StatusOr<std::unique_ptr<CarrierDriver::Offer>> made = driver->MakeOffer();
    if (!made.ok()) {
      if (carriers.size() > 1) continue;  // there is something else to ask for
      return made.status();
    }
    if (std::vector<int> given = (*made)->fds(); !given.empty()) {
      offer = *std::move(made);
      fds = std::move(given);
    }
    hello.add_carriers(carrier);
  }

  NEARCALL_STEP("dial.offered");
  std::vector<Fd> received;
  absl::StatusOr<protocol::Welcome> welcome =
      ShakeHands(socket.get(), hello, fds, peer.address, options.deadline, &received);
  if (!welcome.ok()) return welcome.status();
  bool asked = false;
  for (const int carrier : hello.carriers()) asked = asked || carrier == welcome->carrier();
  CarrierDriver* const driver = FindCarrier(welcome->carrier());
  if (!asked || driver == nullptr || welcome->max_calls() == 0) {
    return absl::InternalError(absl::StrCat(peer.address, ": the server's WELCOME makes no sense"));
  }
  if (const std::string transport = driver->transport(); !transport.empty()) {
    peer.transport = transport;
    peer.address = absl::StrCat(transport, peer.address.substr(peer.address.find(':')));
  }
  NEARCALL_STEP("dial.welcomed");
  SessionOptions session = OptionsOfChannel(*options.channel, std::make_shared<const Peer>(std::move(peer)));
  session.max_calls = welcome->max_calls();
  session.send_window = WindowFromWire(welcome->stream_window());
  const std::string address = session.peer->address;
  absl::StatusOr<std::shared_ptr<ClientConnection>> connection =
      driver->Connect(std::move(socket), std::move(offer), std::move(received), options.reactor, std::move(session));
  NEARCALL_STEP("dial.connected");
  if (connection.ok()) return connection;
  if (unusable != nullptr) *unusable = welcome->carrier();
  return absl::Status(connection.status().code(), absl::StrCat(address, ": ", connection.status().message()));
}

}  // namespace nearcall
