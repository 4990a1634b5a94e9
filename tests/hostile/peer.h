#ifndef NEARCALL_TESTS_HOSTILE_PEER_H_
#define NEARCALL_TESTS_HOSTILE_PEER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message_lite.h"
#include "runtime/base/fd.h"
#include "runtime/transports/shm/doorbell.h"
#include "runtime/transports/shm/segment.h"
#include "runtime/wire/frame.h"
#include "tests/conformance/raw_socket.h"

namespace nearcall::testing {

// One end of a connection whose handshake is over, in the hands of a script: it sends what it likes and obeys no rule.
// Scripts for frames are written once and played over each carrier.
//
// Threads: thread-compatible.
class Peer {
 public:
  virtual ~Peer() = default;

  // Sends one frame, whatever its header says; on a socket, any bytes. Never reads.
  virtual void Send(const std::string& bytes) = 0;
  // The same with descriptors, which go where the carrier has them go; copies.
  virtual void SendWithFds(const std::string& bytes, const std::vector<int>& fds) = 0;
  // Has the other side expect descriptors, where it must be asked to: passes over the frames that come before its
  // answer.
  virtual void AskToPassFds() = 0;
  // The next frame; false when the other side has hung up. Where that asks whether its descriptors may come, they may.
  virtual bool Receive(FrameHeader* header, std::string* payload) = 0;
  // Reads until the other side has hung up.
  void AwaitEnd();
  // The code of the next RESPONSE to `call`, everything else passed over; -1 when the other side hangs up before.
  int AwaitResponse(uint32_t call);
  virtual RawSocket* socket() = 0;
};

class SocketPeer final : public Peer {
 public:
  explicit SocketPeer(RawSocket socket) : socket_(std::move(socket)) {}
  void Send(const std::string& bytes) override { socket_.Send(bytes); }
  void SendWithFds(const std::string& bytes, const std::vector<int>& fds) override { socket_.SendWithFds(bytes, fds); }
  void AskToPassFds() override;
  bool Receive(FrameHeader* header, std::string* payload) override;
  RawSocket* socket() override { return &socket_; }

 private:
  RawSocket socket_;
};

// The ring, word by word.
class RingPeer final : public Peer {
 public:
  static constexpr size_t kBulkSize = 36 * 64 * 1024;
  // In a record's first word: the frame lies in the bulk area, where the second word says.
  static constexpr uint32_t kInBulk = 1u << 31;
  static constexpr size_t kBulkRecord = 8;

  // What this side brings to the handshake.
  struct Offer {
    Offer();
    std::vector<int> fds() const { return {own.fd(), bell.ringer_fd()}; }
    Segment own;
    Doorbell bell;
  };
  // `received`: what the other side brought.
  RingPeer(RawSocket socket, Offer offer, std::vector<Fd> received);

  void Send(const std::string& bytes) override;
  void SendWithFds(const std::string& bytes, const std::vector<int>& fds) override;
  void AskToPassFds() override {}
  bool Receive(FrameHeader* header, std::string* payload) override;
  RawSocket* socket() override { return &socket_; }

  // Our segment, which the other side reads, and theirs.
  Segment& own() { return offer_.own; }
  Segment& theirs() { return theirs_; }
  Doorbell& bell() { return offer_.bell; }
  const Ringer& ringer() const { return ringer_; }
  void Wake() { ringer_.Ring(); }
  // Where the next frame goes.
  uint8_t* next() { return own().ring() + tail_ % own().ring_size(); }
  // The word that publishes it.
  std::atomic<uint32_t>& next_word() { return *reinterpret_cast<std::atomic<uint32_t>*>(next()); }

 private:
  bool HasRoom(size_t size) const;
  // Waits a little; false: the other side has hung up.
  bool Pause();

  RawSocket socket_;
  Offer offer_;
  Segment theirs_;
  Ringer ringer_;
  uint64_t tail_ = 0;
  uint64_t head_ = 0;
};

// A client that has shaken hands properly; the carrier is the ring where the address begins with shm:. Null when it was
// refused.
std::unique_ptr<Peer> ConnectPeer(const std::string& address);
// The same for a server, with a client that has connected. Null when that does not speak the protocol.
std::unique_ptr<Peer> WelcomePeer(RawSocket client);
bool IsRing(const std::string& address);

// What the other side's handshake frame brought. False when it hung up, or said something else.
bool ReceiveHandshake(int fd, FrameKind kind, std::vector<Fd>* fds, google::protobuf::MessageLite* message);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_HOSTILE_PEER_H_
