#include "tests/hostile/fetch_watch.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/testing/sanitizer.h"

namespace nearcall::testing {
namespace {

constexpr size_t kPage = 4096;

#if defined(__x86_64__) && !NEARCALL_INSTRUMENTED
constexpr bool kWorks = true;
#else
constexpr bool kWorks = false;
#endif

// Of the one watch.
struct Watched {
  uint8_t* page = nullptr;
  std::function<void(size_t)> after;
  // Set aside beforehand: a signal handler does not allocate.
  std::vector<FetchWatch::Fetch> fetches;
  struct sigaction old_segv, old_trap;
};
Watched watched;

void Protect(int protection) {
  if (mprotect(watched.page, kPage, protection) != 0) abort();
}

#if defined(__x86_64__)
constexpr greg_t kTrapFlag = 0x100;

void OnFault(int, siginfo_t* info, void* context) {
  auto* const at = static_cast<uint8_t*>(info->si_addr);
  if (at < watched.page || at >= watched.page + kPage) {
    signal(SIGSEGV, SIG_DFL);  // a fault of the program's own: it comes again
    return;
  }
  auto* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (watched.fetches.size() == watched.fetches.capacity()) abort();
  watched.fetches.push_back({static_cast<size_t>(at - watched.page), reinterpret_cast<void*>(registers[REG_RIP])});
  Protect(PROT_READ);
  registers[REG_EFL] |= kTrapFlag;
}

void OnStep(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~kTrapFlag;
  watched.after(watched.fetches.size() - 1);
  Protect(PROT_NONE);
}
#else
void OnFault(int, siginfo_t*, void*) { abort(); }
void OnStep(int, siginfo_t*, void*) { abort(); }
#endif

}  // namespace

bool FetchWatch::Works() { return kWorks; }

FetchWatch::FetchWatch(const void* page, std::function<void(size_t)> after) {
  watched.page = static_cast<uint8_t*>(const_cast<void*>(page));
  watched.after = std::move(after);
  watched.fetches.clear();
  watched.fetches.reserve(100'000);
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = OnFault;
  if (sigaction(SIGSEGV, &action, &watched.old_segv) != 0) abort();
  action.sa_sigaction = OnStep;
  if (sigaction(SIGTRAP, &action, &watched.old_trap) != 0) abort();
  Protect(PROT_NONE);
}

FetchWatch::~FetchWatch() { Stop(); }

std::vector<FetchWatch::Fetch> FetchWatch::Stop() {
  if (std::exchange(stopped_, true)) return {};
  Protect(PROT_READ);
  sigaction(SIGSEGV, &watched.old_segv, nullptr);
  sigaction(SIGTRAP, &watched.old_trap, nullptr);
  return std::exchange(watched.fetches, {});
}

bool IsIn(const void* code, const char* name) {
  Dl_info info;
  return dladdr(code, &info) != 0 && info.dli_fname != nullptr && std::strstr(info.dli_fname, name) != nullptr;
}

}  // namespace nearcall::testing
