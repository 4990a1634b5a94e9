#ifndef NEARCALL_RUNTIME_STREAM_ACCEPTOR_H_
#define NEARCALL_RUNTIME_STREAM_ACCEPTOR_H_

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "protos/nearcall/protocol.pb.h"
#include "runtime/base/fd.h"
#include "runtime/engine/pollable.h"
#include "runtime/engine/server_core.h"

namespace nearcall {

// What a listening socket offers to those who connect.
struct AcceptorOptions {
  ServerCore* core = nullptr;
  std::string scheme;   // of the socket: "unix" or "tcp"; names the transport where the socket itself is the carrier
  std::string address;  // of the listener
  bool checks_user = false;  // only this user (and root) may connect, unless the server's options say otherwise
  std::vector<protocol::Carrier> carriers;  // what is offered
};

class ServerHandshake;

// Accepts connections on a listening socket, and leads each through its handshake to a session.
//
// Handshakes are bounded in time (handshake_timeout) and number (max_handshakes): when too many are under way the
// oldest is dropped, so that peers who dribble cannot keep others out. When the process has no descriptors left,
// connections are accepted and closed one by one, instead of being left to wake the poller for ever.
//
// Threads: the poller's. Owns the listening socket.
class Acceptor final : public Pollable {
 public:
  Acceptor(Fd listening, AcceptorOptions options);
  ~Acceptor() override;

  // Accepts no more. Poller, or before the reactor has it.
  void Stop();

  Polled Poll() override;
  bool PrepareSleep() override { return true; }
  void FinishSleep(uint32_t) override {}
  int watched_fds(WatchedFd* fds) const override {
    fds[0] = WatchedFd{listening_.get(), false};
    return 1;
  }
  bool worth_spinning() const override { return false; }

 private:
  static constexpr int kBatch = 32;

  void Shed();

  Fd listening_;
  Fd spare_;  // given up for a moment when there are no others
  const std::shared_ptr<const AcceptorOptions> options_;
  std::deque<std::weak_ptr<ServerHandshake>> handshakes_;
  bool stopped_ = false;
};

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_STREAM_ACCEPTOR_H_
