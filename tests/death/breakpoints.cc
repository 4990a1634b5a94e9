#include "tests/death/breakpoints.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>

#include "runtime/base/clock.h"
#include "runtime/base/fd.h"

namespace nearcall::testing {
namespace {

#if defined(__x86_64__)

constexpr uint8_t kTrap = 0xcc;  // int3

// One instruction that has a name, or several: steps may follow each other without an instruction in between.
struct Place {
  uintptr_t address = 0;
  uint8_t original = 0;
  std::vector<size_t> steps;
  std::atomic<bool> armed{false};
};

struct Program {
  std::vector<std::string> names;
  std::vector<std::unique_ptr<Place>> places;  // by address
  std::vector<std::vector<Place*>> places_of;  // by step
};

uintptr_t LoadAddress() {
  uintptr_t base = 0;
  // The executable itself comes first.
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uintptr_t*>(out) = info->dlpi_addr;
        return 1;
      },
      &base);
  return base;
}

// The section that NEARCALL_STEP fills: an address and a name for each place.
std::string ReadSection() {
  std::ifstream in("/proc/self/exe", std::ios::binary);
  const auto at = [&](uint64_t offset, void* out, size_t size) {
    in.seekg(static_cast<std::streamoff>(offset));
    in.read(static_cast<char*>(out), static_cast<std::streamsize>(size));
  };
  Elf64_Ehdr header;
  at(0, &header, sizeof header);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  at(header.e_shoff, sections.data(), sections.size() * sizeof sections[0]);
  const Elf64_Shdr& names = sections[header.e_shstrndx];
  std::string text(names.sh_size, '\0');
  at(names.sh_offset, text.data(), text.size());
  for (const Elf64_Shdr& section : sections) {
    if (strcmp(text.data() + section.sh_name, ".nearcall_steps") != 0) continue;
    std::string bytes(section.sh_size, '\0');
    at(section.sh_offset, bytes.data(), bytes.size());
    return bytes;
  }
  return std::string();
}

Program* ReadProgram() {
  auto* const program = new Program;
  std::map<std::string, std::vector<uintptr_t>> addresses;
  const std::string section = ReadSection();
  const uintptr_t base = LoadAddress();
  for (size_t i = 0; i + sizeof(uint64_t) < section.size();) {
    uint64_t address;
    memcpy(&address, section.data() + i, sizeof address);
    const std::string name = section.data() + i + sizeof address;
    i += sizeof address + name.size() + 1;
    if (address != 0) addresses[name].push_back(base + address);
  }
  std::map<uintptr_t, Place*> known;
  for (const auto& [name, where] : addresses) {
    program->places_of.emplace_back();
    for (const uintptr_t address : where) {
      Place*& place = known[address];
      if (place == nullptr) {
        place = program->places.emplace_back(std::make_unique<Place>()).get();
        place->address = address;
        place->original = *reinterpret_cast<const uint8_t*>(address);
      }
      place->steps.push_back(program->names.size());
      program->places_of.back().push_back(place);
    }
    program->names.push_back(name);
  }
  if (program->names.size() > Notebook::kSteps) abort();
  std::sort(program->places.begin(), program->places.end(),
            [](const auto& a, const auto& b) { return a->address < b->address; });
  return program;
}

const Program& TheProgram() {
  static const Program* const program = ReadProgram();
  return *program;
}

// Code is written through this, whatever its protection.
int memory_fd = -1;
Strike what_to_do = Strike::kNote;
Notebook* notes = nullptr;
std::atomic<bool> has_struck{false};

void Poke(const Place& place, uint8_t byte) {
  if (pwrite(memory_fd, &byte, 1, static_cast<off_t>(place.address)) != 1) abort();
}

void OnTrap(int, siginfo_t*, void* context) {
  const int saved = errno;
  greg_t& instruction = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
  const auto address = static_cast<uintptr_t>(instruction) - 1;
  const auto& places = TheProgram().places;
  const auto at = std::lower_bound(places.begin(), places.end(), address,
                                   [](const auto& place, uintptr_t value) { return place->address < value; });
  if (at == places.end() || (*at)->address != address) abort();
  Place& place = **at;
  instruction = static_cast<greg_t>(address);  // again, without the trap
  Poke(place, place.original);
  if (place.armed.exchange(false)) {
    for (const size_t step : place.steps) notes->reached[step] = 1;
    if (what_to_do != Strike::kNote && !has_struck.exchange(true)) {
      notes->struck_at = MonotonicNanos();
      kill(getpid(), what_to_do == Strike::kKill ? SIGKILL : SIGSTOP);
    }
  }
  errno = saved;
}

#endif

}  // namespace

#if defined(__x86_64__)

const std::vector<std::string>& AllSteps() { return TheProgram().names; }

void BreakAt(const std::vector<std::string>& steps, Strike strike, Notebook* notebook) {
  const Program& program = TheProgram();
  if (memory_fd < 0) {
    memory_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    struct sigaction action {};
    action.sa_sigaction = OnTrap;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, nullptr);
  }
  has_struck = true;  // nobody strikes while this changes
  for (const std::unique_ptr<Place>& place : program.places) {
    if (place->armed.exchange(false)) Poke(*place, place->original);
  }
  what_to_do = strike;
  notes = notebook;
  has_struck = false;
  for (const std::string& step : steps) {
    const auto at = std::lower_bound(program.names.begin(), program.names.end(), step);
    if (at == program.names.end() || *at != step) abort();
    for (Place* const place : program.places_of[static_cast<size_t>(at - program.names.begin())]) {
      if (!place->armed.exchange(true)) Poke(*place, kTrap);
    }
  }
}

#else

const std::vector<std::string>& AllSteps() {
  static const auto* const none = new std::vector<std::string>;
  return *none;
}
void BreakAt(const std::vector<std::string>&, Strike, Notebook*) {}

#endif

std::set<std::string> Reached(const Notebook& notebook) {
  std::set<std::string> reached;
  for (size_t i = 0; i < AllSteps().size(); ++i) {
    if (notebook.reached[i] != 0) reached.insert(AllSteps()[i]);
  }
  return reached;
}

}  // namespace nearcall::testing
