#ifndef NEARCALL_BENCHMARKS_PLACEMENT_H_
#define NEARCALL_BENCHMARKS_PLACEMENT_H_

#include <sched.h>

#include <vector>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// The CPUs that this process may run on.
std::vector<int> UsableCpus();

// Puts the calling thread, and those that it starts from now on, where the client or the server is to run.
//
// A process that is pinned to one CPU never spins under the adaptive policy: as a rule its peer is then there, too.
// Where the two are pinned APART that would be wrong, and what is to be measured is how two processes with a CPU each
// fare. So this program has a sched_getaffinity of its own, which then tells whoever asks that there are two CPUs.
void Place(const Setup& setup, bool server);

// The same for a while.
class ScopedPlace {
 public:
  ScopedPlace(const Setup& setup, bool server);
  ~ScopedPlace();
  ScopedPlace(const ScopedPlace&) = delete;
  ScopedPlace& operator=(const ScopedPlace&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_PLACEMENT_H_
