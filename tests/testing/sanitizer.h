#ifndef NEARCALL_TESTS_TESTING_SANITIZER_H_
#define NEARCALL_TESTS_TESTING_SANITIZER_H_

// 1 under ASan or TSan, else 0. They put code of their own around every access and every frame of the stack, allocate
// in another way, and take memory for themselves: what counts instructions, stack or memory counts that, and is
// skipped. (UBSan does none of this.)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEARCALL_INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NEARCALL_INSTRUMENTED 1
#endif
#endif
#ifndef NEARCALL_INSTRUMENTED
#define NEARCALL_INSTRUMENTED 0
#endif

// 1 under TSan, which hands a signal to its handler only at the next call that it knows to block.
#if defined(__SANITIZE_THREAD__)
#define NEARCALL_HOLDS_SIGNALS_BACK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NEARCALL_HOLDS_SIGNALS_BACK 1
#endif
#endif
#ifndef NEARCALL_HOLDS_SIGNALS_BACK
#define NEARCALL_HOLDS_SIGNALS_BACK 0
#endif

#endif  // NEARCALL_TESTS_TESTING_SANITIZER_H_
