#ifndef NEARCALL_TESTS_INTEROP_CASES_H_
#define NEARCALL_TESTS_INTEROP_CASES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nearcall/nearcall.h"

namespace nearcall::interop {

// How much a case does. The defaults are those of gRPC's description, or what its authors run; less is for machines, or
// faults, that make every byte expensive.
struct CaseOptions {
  // Of the channels that a case makes for itself; the channel that it is given has options of its own.
  ChannelOptions channel;
  // The payloads of a large unary call.
  int large_request_bytes = 271828;
  int large_response_bytes = 314159;
  // concurrent_large_unary: calls at once. A server's limit of calls for one connection must be above it.
  int concurrent_calls = 1000;
  int rpc_soak_calls = 10'000;
  int channel_soak_channels = 1000;
  // The soaks: whether the process must not have more threads afterwards. A library's own come and go with the load.
  bool soak_threads = true;
  // push_back: what the writer of a stream may have under way while nobody reads (the larger stream_window_bytes of the
  // two sides), what it surely may, and how large its messages are.
  int window_bytes = 64 << 10;
  int least_window_bytes = 64 << 10;
  int push_back_message_bytes = 10'000;

  // For a way of calls that leads through gRPC, over `connections` of its own or of ours: gRPC's flow control gives
  // each direction up to 16 MiB as it sees fit, and surely the first message.
  void LeadThroughGrpc(int connections) {
    soak_threads = false;
    push_back_message_bytes = 1 << 20;
    least_window_bytes = 2 * push_back_message_bytes;  // that is, one of them
    window_bytes = connections * (16 << 20);
  }
};

// One case: a client that calls the server of InteropService at the other end of `channel`, and looks at what comes
// back. OK, or what was expected and what came instead.
//
// Threads: a case blocks until it is over; several may share a channel, but for the soaks, which count the descriptors
// and threads of the process.
struct Case {
  const char* name;
  absl::Status (*run)(const std::shared_ptr<Channel>& channel, const CaseOptions& options);
};

// All of them, by gRPC's names where gRPC has them.
const std::vector<Case>& AllCases();
// Null where there is none of that name.
const Case* FindCase(absl::string_view name);

// The cases of each file.
std::vector<Case> UnaryCases();
std::vector<Case> StreamingCases();
std::vector<Case> EndingCases();
std::vector<Case> LoadCases();

}  // namespace nearcall::interop

#endif  // NEARCALL_TESTS_INTEROP_CASES_H_
