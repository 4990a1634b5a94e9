// What hostile peers cost others: how long a good client's calls take beside each script, and what memory the process
// that they harm holds afterwards. Prints a table; fails where the memory grows with each repetition.

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/hostile/plays.h"
#include "tests/testing/resources.h"
#include "tests/testing/transport_test.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

constexpr int kRepetitions = 10;
// How many calls are timed in each repetition, so that a script that lasts long weighs no more than others.
constexpr int64_t kTimedCalls = 2000;

// What a process holds for itself, or shares with its peers; what it has of its program's files is no matter.
int64_t MemoryKib(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  int64_t sum = 0;
  std::string word;
  while (status >> word) {
    if (word != "RssAnon:" && word != "RssShmem:") continue;
    int64_t kib = 0;
    status >> kib;
    sum += kib;
  }
  return sum;
}

std::string Row(const LatencyHistogram& histogram) {
  const LatencyMetrics times = histogram.Snapshot();
  const auto micros = [](absl::Duration time) { return absl::ToDoubleMicroseconds(time); };
  return absl::StrFormat("%9d %9.1f %9.1f %9.1f", times.count, micros(times.Percentile(0.5)),
                         micros(times.Percentile(0.99)), micros(times.max));
}

unsigned CarrierNamed(const std::string& name) { return name == "unix" ? kUnix : name == "tcp" ? kTcp : kRing; }

template <class Script>
std::vector<Script> All(const std::vector<std::vector<Script>>& tables) {
  std::vector<Script> all;
  for (const std::vector<Script>& table : tables) all.insert(all.end(), table.begin(), table.end());
  return all;
}

// From the fifth repetition to the tenth.
constexpr int64_t kMostGrowthKib = 1024;

class GoodClientReport : public TransportTest, public ::testing::WithParamInterface<std::string> {
 protected:
  GoodClientReport() : TransportTest({.mechanism = MechanismNamed(GetParam()), .server = Where::kOwnProcess}) {}

  void SetUp() override {
    // The server's allocator gives back at once what is freed, rather than keep it for the thread that had it.
    for (const char* option : {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}) setenv(option, "131072", 1);
    setenv("MALLOC_ARENA_MAX", "1", 1);
    absl::PrintF("%-36s %9s %9s %9s %9s   %9s %9s %9s\n", GetParam(), "calls", "p50 us", "p99 us", "max us", "KiB",
                 "after 5", "after 10");
  }

  // Plays beside a good client of the last server's. `pid` is of the process that has to bear it.
  void Measure(const std::string& name, pid_t pid, absl::FunctionRef<void(GoodClient*)> play) {
    Watchdog::Watch(name);
    LatencyHistogram beside;
    std::vector<int64_t> memory;
    {
      GoodClient good(address());
      const Resources before = Resources::Of(pid);
      good.Time({&alone_}, kTimedCalls);
      good.AwaitMore(kTimedCalls);
      good.Time({});
      {
        GoodClient neighbour(address());
        good.Time({&beside_good_}, kTimedCalls);
        good.AwaitMore(kTimedCalls);
        good.Time({});
      }
      for (int repetition = 0; repetition <= kRepetitions; ++repetition) {
        if (repetition % (kRepetitions / 2) == 0) {
          AwaitNoMoreThan(before, pid, false);
          memory.push_back(MemoryKib(pid));
        }
        if (repetition == kRepetitions) break;
        good.Time({&beside, &beside_hostile_}, kTimedCalls);
        play(&good);
        good.AwaitMore();
        good.Time({});
      }
    }
    absl::PrintF("%-36s %s   %9d %9d %9d\n", name, Row(beside), memory[0], memory[1], memory[2]);
    EXPECT_LE(memory[2] - memory[1], kMostGrowthKib) << name << ": each repetition leaves something behind";
  }

  void TearDown() override {
    absl::PrintF("%-36s %s\n", "alone", Row(alone_));
    absl::PrintF("%-36s %s\n", "beside another good client", Row(beside_good_));
    absl::PrintF("%-36s %s\n", "beside hostile peers", Row(beside_hostile_));
    TransportTest::TearDown();
  }

 private:
  LatencyHistogram alone_, beside_good_, beside_hostile_;
};

TEST_P(GoodClientReport, BesideHostileClients) {
  for (const ClientScript& script : All<ClientScript>({FrameScripts(), CallScripts(), LoadScripts(), HandshakeScripts(),
                                                       DescriptorScripts(), RingScripts(), AttachmentScripts()})) {
    if ((script.over & CarrierNamed(GetParam())) == 0 || script.takes_from_process) continue;
    ServerOptions options;
    if (script.with != nullptr) script.with(&options);
    TestServer* const server = StartServer(options);
    Measure(script.name, server->pid(),
            [&](GoodClient* good) { PlayToServer(address(), script, [&] { good->AwaitMore(); }); });
    EndServer(server);
  }
}

// The good client and the one that calls hostile servers are in one process.
TEST_P(GoodClientReport, BesideHostileServers) {
  StartServer();
  for (const ServerScript& script : All<ServerScript>(
           {WelcomeScripts(), AnswerScripts(), StreamScripts(), RingServerScripts(), AttachmentServerScripts()})) {
    if ((script.over & CarrierNamed(GetParam())) == 0) continue;
    Measure(script.name, getpid(), [&](GoodClient*) {
      const std::unique_ptr<RawServer> hostile = HostileServerOf(AddressForServer(), script);
      CallHostileServer(hostile->address(), script);
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Hostile, GoodClientReport, ::testing::Values("unix", "tcp", "shm"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
