#ifndef NEARCALL_BENCHMARKS_COST_H_
#define NEARCALL_BENCHMARKS_COST_H_

#include <string>
#include <utility>
#include <vector>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// What a contestant costs apart from time, as names and values:
//
//   syscalls_per_call        of both processes, in a round of unary calls; absent where the kernel does not let us
//   count client_kb, server_kb     memory of one idle connection in each process (Pss), without what they share
//   shared_kb                memory of one idle connection that they share, counted once
//   client_threads, server_threads   with `round.clients()` idle connections
//   idle_cpu_ms_per_s        of both processes, with `round.clients()` idle connections
std::vector<std::pair<std::string, double>> CostOf(const Setup& setup, const std::string& directory, Round round,
                                                   bool quick);

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_COST_H_
