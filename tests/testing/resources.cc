#include "tests/testing/resources.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// What the kernel says of a thread behind its number and name, its state first; empty when it is gone.
std::string StatOf(const std::string& task) {
  const std::string stat = ReadFile(absl::StrCat(task, "/stat"));
  const size_t name_ends = stat.rfind(')');
  return name_ends == std::string::npos ? "" : stat.substr(name_ends + 2);
}

// "socket:[123]" becomes "socket": which one it is does not matter.
std::string KindOf(const std::string& target) {
  const size_t bracket = target.find(":[");
  return bracket == std::string::npos ? target : target.substr(0, bracket);
}

bool Within(const Resources& now, const Resources& before, bool threads) {
  return now.fds.size() <= before.fds.size() && now.mappings <= before.mappings &&
         (!threads || now.threads <= before.threads);
}

}  // namespace

std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const dir = opendir(directory.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

Resources Resources::Of(pid_t pid) {
  Resources result;
  const std::string proc = absl::StrCat("/proc/", pid);
  for (const std::string& name : FilesIn(proc + "/fd")) {
    char target[256];
    const ssize_t length = readlink(absl::StrCat(proc, "/fd/", name).c_str(), target, sizeof target);
    if (length < 0) continue;  // of the very look at the directory
    const std::string what(target, static_cast<size_t>(length));
    if (absl::StartsWith(what, "/proc/")) continue;
    result.fds.push_back(KindOf(what));
  }
  std::sort(result.fds.begin(), result.fds.end());
  result.threads = static_cast<int>(FilesIn(proc + "/task").size());
  for (absl::string_view line : absl::StrSplit(ReadFile(proc + "/maps"), '\n')) {
    if (absl::StrContains(line, "/memfd:nearcall")) ++result.mappings;
  }
  return result;
}

std::string Resources::ToString() const {
  return absl::StrCat(fds.size(), " fds (", absl::StrJoin(fds, ", "), "), ", threads, " threads, ", mappings,
                      " mappings");
}

void AwaitNoMoreThan(const Resources& before, pid_t pid, bool threads) {
  const absl::Time complain = absl::Now() + absl::Seconds(10);
  bool complained = false;
  Await([&] {
    const Resources now = Resources::Of(pid);
    if (Within(now, before, threads)) return true;
    if (!complained && absl::Now() > complain) {
      complained = true;
      fprintf(stderr, "still waiting for a leak to close: began with %s, now %s\n", before.ToString().c_str(),
              now.ToString().c_str());
    }
    return false;
  });
}

void AwaitStopped(pid_t pid) {
  const std::string proc = absl::StrCat("/proc/", pid, "/task");
  Await([&] {
    for (const std::string& tid : FilesIn(proc)) {
      const std::string stat = StatOf(absl::StrCat(proc, "/", tid));
      if (!stat.empty() && !absl::StartsWith(stat, "T")) return false;
    }
    return true;
  });
}

void AwaitAsleep(pid_t thread) {
  Await([&] { return absl::StartsWith(StatOf(absl::StrCat("/proc/self/task/", thread)), "S"); });
}

Activity Activity::Of(pid_t pid) {
  Activity result;
  const std::string proc = absl::StrCat("/proc/", pid, "/task");
  for (const std::string& tid : FilesIn(proc)) {
    const std::vector<std::string> fields = absl::StrSplit(StatOf(absl::StrCat(proc, "/", tid)), ' ');
    long user = 0, system = 0;
    if (fields.size() > 12 && absl::SimpleAtoi(fields[11], &user) && absl::SimpleAtoi(fields[12], &system)) {
      result.cpu_ticks += user + system;
    }
    for (absl::string_view line : absl::StrSplit(ReadFile(absl::StrCat(proc, "/", tid, "/status")), '\n')) {
      long count = 0;
      if (absl::StrContains(line, "ctxt_switches:") &&
          absl::SimpleAtoi(absl::StripAsciiWhitespace(line.substr(line.find(':') + 1)), &count)) {
        result.switches += count;
      }
    }
  }
  return result;
}

}  // namespace nearcall::testing
