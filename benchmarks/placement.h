#ifndef NEARCALL_BENCHMARKS_PLACEMENT_H_
#define NEARCALL_BENCHMARKS_PLACEMENT_H_

#include <sched.h>

#include <vector>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// The CPUs that this process may run on.
std::vector<int> UsableCpus();

// Puts the calling thread, and those that it starts from now on, where the client or the server is to run.
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
