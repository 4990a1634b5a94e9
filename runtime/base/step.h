#ifndef NEARCALL_RUNTIME_BASE_STEP_H_
#define NEARCALL_RUNTIME_BASE_STEP_H_

// Names a place in the code, so that tests can put a breakpoint there and kill or stop the process at it
// (tests/death). A step is a label and no instruction: its address and name go into a section that is not loaded.
//
//   NEARCALL_STEP("shm.commit.publish");  // what comes next has not happened yet
//
// The section's flag "?" puts its entry into the same group as the code around it, so that a template's or an inline
// function's steps go where its code goes.
#if defined(__ELF__) && !defined(NEARCALL_NO_STEPS)
#define NEARCALL_STEP(name)                        \
  asm volatile inline(                             \
      "7701: .pushsection .nearcall_steps,\"?\"\n" \
      "  .8byte 7701b\n  .asciz \"" name           \
      "\"\n"                                       \
      "  .popsection")
#else
#define NEARCALL_STEP(name) static_cast<void>(0)
#endif

#endif  // NEARCALL_RUNTIME_BASE_STEP_H_
