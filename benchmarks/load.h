#ifndef NEARCALL_BENCHMARKS_LOAD_H_
#define NEARCALL_BENCHMARKS_LOAD_H_

#include <memory>
#include <vector>

#include "benchmarks/contestant.h"
#include "benchmarks/histogram.h"

namespace nearcall::benchmarks {

// The client's side of a round against an RPC system: makes the calls, and counts. Connections are kept from one round
// to the next.
//
// Threads: thread-compatible.
class Load {
 public:
  explicit Load(std::unique_ptr<RpcClient> client) : client_(std::move(client)) {}

  Sample Run(const Round& round);

 private:
  // When a round's measuring begins and ends, on the monotonic clock.
  struct Window {
    int64_t begin;
    int64_t end;
  };
  struct Tally {
    Histogram latency;
    int64_t calls = 0;
    int64_t counted = 0;
    int64_t last = 0;  // when the last call that counts was over
  };

  static Window WindowFromNow(const Round& round);
  static void CallRepeatedly(Caller* caller, const Window& window, Tally* tally);
  static void Finish(const Window& window, const Tally& tally, Sample* sample);

  Connection* connection(size_t index);
  void Unary(const Round& round, Sample* sample);
  void InFlight(const Round& round, Sample* sample);
  void Threads(const Round& round, bool share_connection, Sample* sample);
  void Stream(const Round& round, Sample* sample);
  void OpenLoop(const Round& round, Sample* sample);
  void Sleeper(const Round& round, Sample* sample);
  void Connect(const Round& round, Sample* sample);

  const std::unique_ptr<RpcClient> client_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_LOAD_H_
