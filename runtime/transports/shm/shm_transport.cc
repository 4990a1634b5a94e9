// `shm:NAME`: the ring in shared memory and nothing else, agreed on over a Unix socket. `local:` uses the same carrier.

#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/engine/client_session.h"
#include "runtime/engine/server_session.h"
#include "runtime/stream/carrier.h"
#include "runtime/stream/unix_transport.h"
#include "runtime/transports/shm/shm_wire.h"

namespace nearcall {
namespace {

// Of each direction. The ring is enough for a burst of small frames. The bulk area takes a frame of 1 MiB and a little
// more, two of them at a time; it has no memory before there is such a frame. Still larger messages go in fragments.
constexpr size_t kRingSize = 64 * 1024;
constexpr size_t kBulkSize = 36 * kRingSize;
// What each side sends: its segment, and the end of the doorbell that wakes it.
constexpr size_t kDescriptors = 2;

// One side's contribution to a connection.
class RingOffer final : public CarrierDriver::Offer {
 public:
  static absl::StatusOr<std::unique_ptr<RingOffer>> Make() {
    absl::StatusOr<Segment> segment = Segment::Create(kRingSize, kBulkSize);
    if (!segment.ok()) return segment.status();
    absl::StatusOr<Doorbell> doorbell = Doorbell::Create();
    if (!doorbell.ok()) return doorbell.status();
    return std::unique_ptr<RingOffer>(new RingOffer(*std::move(segment), *std::move(doorbell)));
  }
  std::vector<int> fds() const override { return {segment_.fd(), doorbell_.ringer_fd()}; }
  // After Complete: what fds() were.
  std::vector<Fd> TakeFds() { return std::move(given_); }

  // The Wire, once the peer's contribution is here too.
  absl::StatusOr<std::unique_ptr<ShmWire>> Complete(Fd* socket, std::vector<Fd>* received, const Peer& peer) {
    if (received->size() != kDescriptors) {
      return absl::InvalidArgumentError(
          absl::StrCat("a ring needs ", kDescriptors, " descriptors from the peer; ", received->size(), " came"));
    }
    absl::StatusOr<Segment> theirs = Segment::Open(std::move((*received)[0]));
    if (!theirs.ok()) return theirs.status();
    absl::StatusOr<Ringer> ringer = Ringer::Open(std::move((*received)[1]));
    if (!ringer.ok()) return ringer.status();
    // From here on the mappings and the peer's copies are all that is needed.
    theirs->TakeFd();
    given_.push_back(segment_.TakeFd());
    given_.push_back(doorbell_.TakeRinger());
    const bool same_user = peer.credentials.has_value() && peer.credentials->uid == geteuid();
    return std::make_unique<ShmWire>(ShmWire::Parts{std::move(*socket), std::move(segment_), *std::move(theirs),
                                                    std::move(doorbell_), *std::move(ringer), same_user, peer.address});
  }

 private:
  RingOffer(Segment segment, Doorbell doorbell) : segment_(std::move(segment)), doorbell_(std::move(doorbell)) {}

  Segment segment_;
  Doorbell doorbell_;
  std::vector<Fd> given_;
};

class RingCarrier final : public CarrierDriver {
 public:
  std::string transport() const override { return "shm"; }

  absl::StatusOr<std::unique_ptr<Offer>> MakeOffer() override { return RingOffer::Make(); }

  absl::StatusOr<std::shared_ptr<ClientConnection>> Connect(Fd socket, std::unique_ptr<Offer> offer,
                                                            std::vector<Fd> received, Reactor* reactor,
                                                            SessionOptions options) override {
    absl::StatusOr<std::unique_ptr<ShmWire>> wire =
        static_cast<RingOffer*>(offer.get())->Complete(&socket, &received, *options.peer);
    if (!wire.ok()) return wire.status();
    auto session = std::make_shared<ClientSession<ShmWire>>(*std::move(wire), reactor, std::move(options));
    reactor->Add(session);
    return session;
  }

  absl::StatusOr<std::shared_ptr<ServerConnection>> Accept(Fd* socket, std::vector<Fd>* received, ServerCore* core,
                                                           SessionOptions options, std::vector<Fd>* reply) override {
    absl::StatusOr<std::unique_ptr<RingOffer>> offer = RingOffer::Make();
    if (!offer.ok()) return offer.status();
    absl::StatusOr<std::unique_ptr<ShmWire>> wire = (*offer)->Complete(socket, received, *options.peer);
    if (!wire.ok()) return wire.status();
    *reply = (*offer)->TakeFds();
    return std::make_shared<ServerSession<ShmWire>>(*std::move(wire), core, std::move(options));
  }
};

const CarrierRegistration carrier(protocol::RING, new RingCarrier);
const TransportRegistration transport("shm", new UnixTransport({protocol::RING}));

}  // namespace
}  // namespace nearcall
