#ifndef NEARCALL_RUNTIME_BASE_FORK_H_
#define NEARCALL_RUNTIME_BASE_FORK_H_

#include <cstdint>

namespace nearcall {

// How often this process is a forked child of the one that first asked: two readings that differ have a fork between
// them, and what was set up at the first one, threads above all, is the parent's. Costs a load.
uint32_t ForkGeneration();

}  // namespace nearcall

#endif  // NEARCALL_RUNTIME_BASE_FORK_H_
