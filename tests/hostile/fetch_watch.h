#ifndef NEARCALL_TESTS_HOSTILE_FETCH_WATCH_H_
#define NEARCALL_TESTS_HOSTILE_FETCH_WATCH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace nearcall::testing {

// Sees every instruction that looks at a page, and lets the test change what lies there in between: how a peer would
// that shares the memory, at the worst of all moments. The page is protected; each access faults, is let through for
// one instruction (the processor's single-step flag), and is counted.
//
// Threads: one watch at a time; accesses from the thread that made it.
class FetchWatch {
 public:
  // One access: where in the page it began, and which code it was.
  struct Fetch {
    size_t offset;
    const void* code;
  };

  // Whether this machine and build can do it: x86-64, and no sanitizer, which looks at memory on its own.
  static bool Works();

  // Watches the page at `page`, which is readable. `after` is called after each fetch, with its number from 0; it may
  // change the memory through another mapping.
  FetchWatch(const void* page, std::function<void(size_t)> after);
  ~FetchWatch();
  FetchWatch(const FetchWatch&) = delete;
  FetchWatch& operator=(const FetchWatch&) = delete;

  // Ends the watch; all fetches.
  std::vector<Fetch> Stop();

 private:
  bool stopped_ = false;
};

// Whether the code belongs to the shared library whose file name has `name` in it.
bool IsIn(const void* code, const char* name);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_HOSTILE_FETCH_WATCH_H_
