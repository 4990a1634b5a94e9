#ifndef NEARCALL_TESTS_DEATH_BREAKPOINTS_H_
#define NEARCALL_TESTS_DEATH_BREAKPOINTS_H_

#include <set>
#include <string>
#include <vector>

#include "tests/death/notebook.h"

namespace nearcall::testing {

// Breakpoints at the steps of this program (runtime/base/step.h), set by the process itself: the first byte of the
// instruction that a step names becomes a trap.

enum class Strike {
  kNote,  // only note that the step was reached
  kKill,  // SIGKILL
  kStop,  // SIGSTOP, for the whole process; it goes on with SIGCONT
};

// The names of all steps, sorted; empty on a machine for which this is not written.
const std::vector<std::string>& AllSteps();

// Has the first thread that comes to one of the steps note that in `notebook` and strike; whoever comes later passes.
// With kNote each step is noted. Takes the place of what was asked for before. Threads: one at a time.
void BreakAt(const std::vector<std::string>& steps, Strike strike, Notebook* notebook);

// The steps that were noted.
std::set<std::string> Reached(const Notebook& notebook);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_DEATH_BREAKPOINTS_H_
