#ifndef NEARCALL_TESTS_DEATH_FAILURES_H_
#define NEARCALL_TESTS_DEATH_FAILURES_H_

#include <string>

namespace nearcall::testing {

// System calls that fail. A program that links this has the functions of libc through which the runtime asks the kernel
// for something defined in its executable, where they are found first. Each counts; one of them fails, with an error
// that it may have.
//
// Threads: thread-safe.

// From now on the N-th call fails, counted from 1, and no other; 0: none.
void FailNthSystemCall(int n);
// From now on every call of that function fails, until it is told "".
void FailEvery(const std::string& function);
// How many there were since the last FailNthSystemCall, and which one failed: "mmap: ENOMEM"; empty: none did.
int SystemCalls();
std::string FailedSystemCall();

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_DEATH_FAILURES_H_
