#ifndef NEARCALL_EXAMPLES_HELLO_ROUND_TRIP_H_
#define NEARCALL_EXAMPLES_HELLO_ROUND_TRIP_H_

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "examples/hello/hello.nearcall.h"

// The median time that one of `calls` calls takes, one after the other, after some to warm up.
inline absl::StatusOr<absl::Duration> MedianRoundTrip(helloworld::Greeter::Stub* stub,
                                                      const helloworld::HelloRequest& request, int calls) {
  const int warm_up = 200;
  std::vector<absl::Duration> times;
  for (int i = 0; i < warm_up + calls; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    absl::StatusOr<helloworld::HelloReply> reply = stub->SayHello(request);
    const auto end = std::chrono::steady_clock::now();
    if (!reply.ok()) return reply.status();
    if (i >= warm_up) times.push_back(absl::FromChrono(end - begin));
  }
  std::nth_element(times.begin(), times.begin() + calls / 2, times.end());
  return times[calls / 2];
}

#endif  // NEARCALL_EXAMPLES_HELLO_ROUND_TRIP_H_
