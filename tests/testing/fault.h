#ifndef NEARCALL_TESTS_TESTING_FAULT_H_
#define NEARCALL_TESTS_TESTING_FAULT_H_

#include <cstdint>

#include "nearcall/channel.h"
#include "nearcall/server.h"

namespace nearcall::testing {

// What a suite may have to endure, from its first test to its last, in its child processes, too: the environment says
// so, NEARCALL_FAULT=one_byte for example. The first three are brought about by //tests/faults, which a test has to
// link; the last one by whoever makes servers and channels.
enum class Fault {
  kNone,
  // one_byte: every read from a socket delivers one byte, every write takes one. In between system calls are
  // interrupted (EINTR), and find no room or nothing to read (EAGAIN).
  kOneByte,
  // few_bytes: the same, but that some thousand bytes go through now and then: for suites that send hundreds of
  // megabytes.
  kFewBytes,
  // delays: threads are stopped for up to 2 ms, between any two instructions.
  kDelays,
  // tiny_credit: a stream's sender may have 100 bytes under way to a client, 1 to a server.
  kTinyCredit,
};

// Threads: thread-safe. Aborts if the environment names a fault that there is not.
Fault FaultInForce();

// The options that a test means, and the fault's own where the test has left the defaults.
ChannelOptions UnderFault(ChannelOptions options);
ServerOptions UnderFault(ServerOptions options);

// How often to do something that is worth repeating `count` times: a tenth of that under a fault that makes each time
// dear.
int Fewer(int count);

// What the random choices of this process and its children follow from: NEARCALL_FAULT_SEED, or chosen here and said on
// stderr.
uint64_t FaultSeed();

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_FAULT_H_
