#ifndef NEARCALL_TESTS_TESTING_SANITIZER_H_
#define NEARCALL_TESTS_TESTING_SANITIZER_H_

#include "absl/base/config.h"

// 1 under TSan, which hands a signal to its handler only at the next call that it knows to block.
#if defined(ABSL_HAVE_THREAD_SANITIZER)
#define NEARCALL_HOLDS_SIGNALS_BACK 1
#else
#define NEARCALL_HOLDS_SIGNALS_BACK 0
#endif

// 1 under ASan or TSan, else 0. They put code of their own around every access and every frame of the stack, allocate
// in another way, and take memory for themselves: what counts instructions, stack or memory counts that, and is
// skipped. (UBSan does none of this.)
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
#define NEARCALL_INSTRUMENTED 1
#else
#define NEARCALL_INSTRUMENTED 0
#endif

#endif  // NEARCALL_TESTS_TESTING_SANITIZER_H_
