#include "benchmarks/binary_size.h"

#include <elf.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace nearcall::benchmarks {
namespace {

// The bytes of the segments that are loaded: without symbols and what debuggers need.
double LoadedBytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Elf64_Ehdr header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return 0;
  double bytes = 0;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment{};
    file.seekg(static_cast<std::streamoff>(header.e_phoff + static_cast<uint64_t>(i) * header.e_phentsize));
    if (!file.read(reinterpret_cast<char*>(&segment), sizeof segment)) break;
    if (segment.p_type == PT_LOAD) bytes += static_cast<double>(segment.p_filesz);
  }
  return bytes;
}

// The shared libraries that the dynamic linker would load for `path`, but for the C and C++ libraries themselves.
std::vector<std::string> LibrariesOf(const std::string& path) {
  std::vector<std::string> libraries;
  FILE* const output = popen(absl::StrCat("LD_TRACE_LOADED_OBJECTS=1 '", path, "'").c_str(), "re");
  if (output == nullptr) return libraries;
  char line[4096];
  while (fgets(line, sizeof line, output) != nullptr) {
    char library[4096];
    if (sscanf(line, " %*s => %4095s", library) != 1 || library[0] != '/') continue;
    const std::string name = std::filesystem::path(library).filename();
    bool everybodys = false;
    for (const char* const own : {"libc.so", "libm.so", "libstdc++.so", "libgcc_s.so"}) {
      everybodys = everybodys || absl::StartsWith(name, own);
    }
    if (!everybodys) libraries.push_back(library);
  }
  pclose(output);
  return libraries;
}

}  // namespace

std::vector<std::pair<std::string, double>> SizeOf(const std::string& program) {
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string path = self.parent_path() / "size" / program;
  if (!std::filesystem::exists(path)) return {};
  double libraries = 0;
  for (const std::string& library : LibrariesOf(path)) libraries += LoadedBytes(library);
  return {{"file_kb", LoadedBytes(path) / 1024}, {"libraries_kb", libraries / 1024}};
}

}  // namespace nearcall::benchmarks
