#ifndef NEARCALL_TESTS_HOSTILE_SCRIPT_H_
#define NEARCALL_TESTS_HOSTILE_SCRIPT_H_

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/hostile/frames.h"
#include "tests/hostile/peer.h"

namespace nearcall::testing {

// A script is what one hostile peer does, and what must come of it. Scripts are tables; scripts_test.cc plays each over
// every transport that it is for, while a good client calls on: its calls succeed, and afterwards the descriptors,
// threads, mappings and files are what they were.

// The transports that a script is for.
enum : unsigned {
  kUnix = 1,
  kTcp = 2,
  kRing = 4,
  kSockets = kUnix | kTcp,      // frames and handshakes as bytes on a socket
  kUnixOrRing = kUnix | kRing,  // what needs descriptors
  kAll = kSockets | kRing,
};

// --- A hostile client against the real server ---

struct ClientScript {
  // What must come of it.
  struct Outcome {
    enum { kHungUp, kServed, kAnswered, kNothing } what;
    int code = 0;  // of kAnswered
  };
  // The server hangs up by itself.
  static constexpr Outcome HungUp() { return {Outcome::kHungUp}; }
  // Nothing: the connection is as good as before.
  static constexpr Outcome Served() { return {Outcome::kServed}; }
  // The call kCall ends with this code, and the connection is as good as before.
  static constexpr Outcome Answered(absl::StatusCode code) { return {Outcome::kAnswered, static_cast<int>(code)}; }
  // There is no connection to look at: the script has seen for itself.
  static constexpr Outcome Nothing() { return {Outcome::kNothing}; }

  std::string name;
  unsigned over;
  Outcome outcome;
  // With a connection whose handshake is over ...
  std::function<void(Peer*)> play = nullptr;
  // ... or from the beginning.
  std::function<void(const std::string& address)> play_at = nullptr;
  void (*with)(ServerOptions*) = nullptr;
  // Takes away what the server's process needs, so that it must be this one.
  bool takes_from_process = false;
};

std::vector<ClientScript> FrameScripts();
std::vector<ClientScript> CallScripts();
std::vector<ClientScript> LoadScripts();
std::vector<ClientScript> HandshakeScripts();
std::vector<ClientScript> DescriptorScripts();
std::vector<ClientScript> RingScripts();
std::vector<ClientScript> AttachmentScripts();

// --- A hostile server against the real client ---

struct ServerScript {
  // What the client does: kSeveral calls five times, kLargeUnary sends more than any buffer takes, kStream reads a Down
  // to its end, kUp writes.
  enum Call { kUnary, kSeveral, kLargeUnary, kStream, kUp };
  std::string name;
  unsigned over;
  std::vector<absl::StatusCode> outcomes;  // how its call may end
  // With each connection whose handshake is over, and the id of the call that the client has made on it ...
  std::function<void(Peer*, uint32_t call)> play = nullptr;
  // ... or with each that was accepted.
  std::function<void(RawSocket*)> play_at = nullptr;
  Call call = kUnary;
  void (*with)(ChannelOptions*) = nullptr;
  void (*context)(ClientContext*) = nullptr;
};

std::vector<ServerScript> WelcomeScripts();
std::vector<ServerScript> AnswerScripts();
std::vector<ServerScript> StreamScripts();
std::vector<ServerScript> RingServerScripts();
std::vector<ServerScript> AttachmentServerScripts();

// A message of TestService's Payload.
std::string PayloadBytes(size_t data_size, int64_t number = 0);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_HOSTILE_SCRIPT_H_
