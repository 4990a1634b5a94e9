#ifndef NEARCALL_TESTS_TESTING_WATCHDOG_H_
#define NEARCALL_TESTS_TESTING_WATCHDOG_H_

#include <string>

#include "absl/functional/function_ref.h"

namespace nearcall::testing {

// Ends the process, with a stack of every thread on stderr, when what it watches takes longer than any machine needs.
// It stands in for the time limits that tests must not assert. NEARCALL_WATCHDOG_SECONDS sets another patience.
//
// Threads: thread-safe; one watch at a time.
class Watchdog {
 public:
  // Starts the thread that watches; before anything counts threads.
  static void Start();
  static void Watch(const std::string& what);
  static void Rest();
};

// Blocks until `condition` is true, looking again and again. For conditions that nobody announces: what another process
// does, what the kernel reports. The watchdog ends it.
void Await(absl::FunctionRef<bool()> condition);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_WATCHDOG_H_
