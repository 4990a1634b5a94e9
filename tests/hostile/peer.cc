#include "tests/hostile/peer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "runtime/stream/handshake.h"
#include "tests/hostile/frames.h"

namespace nearcall::testing {
namespace {

constexpr size_t kRingSize = 64 * 1024;

template <class T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    fprintf(stderr, "%s\n", value.status().ToString().c_str());
    abort();
  }
  return *std::move(value);
}

uint64_t Stride(size_t size) { return (size + 63) / 64 * 64; }

}  // namespace

// --- Any carrier ---

void Peer::AwaitEnd() {
  FrameHeader header;
  std::string payload;
  while (Receive(&header, &payload)) {
  }
}

int Peer::AwaitResponse(uint32_t call) {
  FrameHeader header;
  std::string payload;
  while (Receive(&header, &payload)) {
    if (header.kind == static_cast<uint8_t>(FrameKind::kResponse) && header.call == call) return header.detail;
  }
  return -1;
}

// --- Over the socket ---

void SocketPeer::AskToPassFds() {
  Send(Passing(FdPassing::kWanted));
  FrameHeader header;
  std::string payload;
  while (Receive(&header, &payload) && header.kind != static_cast<uint8_t>(FrameKind::kFdPassing)) {
  }
}

bool SocketPeer::Receive(FrameHeader* header, std::string* payload) {
  for (;;) {
    if (!socket_.ReceiveBytes(header, sizeof *header) || header->size < kHeaderSize) return false;
    payload->resize(header->size - kHeaderSize);
    if (!socket_.ReceiveBytes(payload->data(), payload->size())) return false;
    const bool asks = header->kind == static_cast<uint8_t>(FrameKind::kFdPassing) &&
                      header->detail == static_cast<uint16_t>(FdPassing::kWanted);
    if (!asks) return true;
    Send(Passing(FdPassing::kExpected));
  }
}

// --- Over the ring ---

RingPeer::Offer::Offer() : own(OrDie(Segment::Create(kRingSize, kBulkSize))), bell(OrDie(Doorbell::Create())) {}

RingPeer::RingPeer(RawSocket socket, Offer offer, std::vector<Fd> received)
    : socket_(std::move(socket)),
      offer_(std::move(offer)),
      theirs_(OrDie(Segment::Open(std::move(received.at(0))))),
      ringer_(OrDie(Ringer::Open(std::move(received.at(1))))) {
  // Like a peer that means well: what keeps a pipe or a memfd open is the other side's mapping alone.
  offer_.own.TakeFd();
  offer_.bell.TakeRinger();
}

bool RingPeer::HasRoom(size_t size) const {
  return tail_ + Stride(size) + 8 - theirs_.control()->read_position.load() <= kRingSize;
}

bool RingPeer::Pause() {
  // Not by what lies there to be read: descriptors that came with attachments stay there.
  pollfd poll_fd{socket_.fd(), POLLRDHUP, 0};
  return poll(&poll_fd, 1, 1) <= 0;
}

void RingPeer::Send(const std::string& bytes) {
  const uint64_t stride = Stride(bytes.size());
  while (!HasRoom(bytes.size())) {
    if (!Pause()) return;
  }
  uint8_t* const at = next();
  std::memcpy(at + 4, bytes.data() + 4, bytes.size() - 4);
  const uint32_t none = 0;
  std::memcpy(own().ring() + (tail_ + stride) % kRingSize, &none, sizeof none);
  uint32_t size;
  std::memcpy(&size, bytes.data(), sizeof size);
  next_word().exchange(size);
  tail_ += stride;
  if (theirs_.control()->sleep_epoch.load() % 2 != 0) Wake();
}

void RingPeer::SendWithFds(const std::string& bytes, const std::vector<int>& fds) {
  socket_.SendWithFds("d", fds);
  Send(bytes);
}

bool RingPeer::Receive(FrameHeader* header, std::string* payload) {
  uint8_t* const at = theirs_.ring() + head_ % theirs_.ring_size();
  auto& word = *reinterpret_cast<std::atomic<uint32_t>*>(at);
  for (int looks = 0; word.load() == 0; ++looks) {
    if (looks > 1000 && !Pause() && word.load() == 0) return false;
  }
  const uint32_t first = word.load();
  const bool in_bulk = (first & kInBulk) != 0;
  uint32_t offset;
  std::memcpy(&offset, at + 4, sizeof offset);
  const uint8_t* const frame = in_bulk ? theirs_.bulk() + offset : at;
  std::memcpy(header, frame, sizeof *header);
  header->size = first & ~kInBulk;
  payload->assign(reinterpret_cast<const char*>(frame) + kHeaderSize, header->size - kHeaderSize);
  head_ += Stride(in_bulk ? kBulkRecord : header->size);
  own().control()->read_position.exchange(head_);
  if (theirs_.control()->wants_room.load() != 0) Wake();
  return true;
}

// --- Handshakes ---

bool IsRing(const std::string& address) { return absl::StartsWith(address, "shm:"); }

bool ReceiveHandshake(int fd, FrameKind kind, std::vector<Fd>* fds, google::protobuf::MessageLite* message) {
  HandshakeReader reader(static_cast<uint8_t>(kind));
  for (;;) {
    switch (reader.Read(fd)) {
      case HandshakeReader::Progress::kFailed:
        return false;
      case HandshakeReader::Progress::kDone:
        *fds = std::move(reader.fds());
        return reader.Parse(message);
      case HandshakeReader::Progress::kMore: {
        pollfd poll_fd{fd, POLLIN, 0};
        poll(&poll_fd, 1, -1);
      }
    }
  }
}

std::unique_ptr<Peer> ConnectPeer(const std::string& address) {
  RawSocket socket = RawSocket::ConnectTo(address);
  std::vector<Fd> fds;
  protocol::Welcome welcome;
  if (!IsRing(address)) {
    socket.Send(HelloFor(protocol::SOCKET));
    if (!ReceiveHandshake(socket.fd(), FrameKind::kWelcome, &fds, &welcome) || welcome.code() != 0) return nullptr;
    return std::make_unique<SocketPeer>(std::move(socket));
  }
  RingPeer::Offer offer;
  socket.SendWithFds(HelloFor(protocol::RING), offer.fds());
  if (!ReceiveHandshake(socket.fd(), FrameKind::kWelcome, &fds, &welcome) || welcome.code() != 0) return nullptr;
  return std::make_unique<RingPeer>(std::move(socket), std::move(offer), std::move(fds));
}

std::unique_ptr<Peer> WelcomePeer(RawSocket socket) {
  std::vector<Fd> fds;
  protocol::Hello hello;
  if (!ReceiveHandshake(socket.fd(), FrameKind::kHello, &fds, &hello)) return nullptr;
  if (!IsRing(socket.address())) {
    socket.Send(Welcome(protocol::SOCKET));
    return std::make_unique<SocketPeer>(std::move(socket));
  }
  RingPeer::Offer offer;
  socket.SendWithFds(Welcome(protocol::RING), offer.fds());
  return std::make_unique<RingPeer>(std::move(socket), std::move(offer), std::move(fds));
}

}  // namespace nearcall::testing
