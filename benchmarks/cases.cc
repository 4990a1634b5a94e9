#include "benchmarks/cases.h"

#include <fnmatch.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace nearcall::benchmarks {
namespace {

using Names = std::vector<std::string>;

const Names kTransports = {"shm", "unix", "tcp", "inproc"};
const Names kGrpc = {"grpc-unix", "grpc-tcp"};
// gRPC's code over shm.
const Names kAdapter = {"shm-adapter"};
// The same bytes as an attached buffer instead of a message's field.
const Names kBuffers = {"shm-buffer", "unix-buffer"};
const Names kGrpcCallback = {"grpc-unix-callback", "grpc-tcp-callback"};

Names operator+(Names a, const Names& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Collects cases that share an effort.
class List {
 public:
  explicit List(const Effort& effort) : effort_(effort) {}

  Case& Add(const std::string& name, const std::string& detail, Work work, uint32_t size, int clients,
            const Names& contestants) {
    Case one;
    one.name = name;
    one.label = detail.empty() ? name : absl::StrCat(name, "/", detail);
    one.round.set_work(work);
    one.round.set_size(size);
    one.round.set_clients(clients);
    one.round.set_measure_us(effort_.measure_us);
    one.round.set_warm_us(effort_.measure_us / 5);
    one.contestants = contestants;
    one.rounds = effort_.rounds;
    cases_.push_back(one);
    return cases_.back();
  }
  std::vector<Case> Take() { return std::move(cases_); }

 private:
  const Effort effort_;
  std::vector<Case> cases_;
};

void AddUnary(const Effort& effort, List* list) {
  const Names sockets = {"raw-unix-spin", "raw-tcp-spin"};
  const Names blocking = {"eventfd", "raw-unix", "raw-tcp"};
  for (const uint32_t size : {0u, 64u, 1u << 10, 64u << 10, 1u << 20, 64u << 20}) {
    Names floors = (size <= 1024 ? Names{"cache-line", "raw-message"} : Names{"memcpy"}) + sockets;
    if (size == 64) floors = floors + blocking;
    Names rpcs = kTransports;
    if (size == 64) rpcs = rpcs + kAdapter;
    if (size > 1024) rpcs = rpcs + kBuffers;
    Case& one = list->Add("unary", SizeName(size), UNARY, size, 1, floors + rpcs + kGrpc);
    if (size == 64u << 20) {
      one.rounds = effort.quick ? 1 : std::min(effort.rounds, 5);
      one.round.set_warm_us(200'000);  // new memory of that size takes its time
    }
  }
  Case& one_cpu = list->Add("unary-one-cpu", "64", UNARY, 64, 1, blocking + kTransports + kGrpc);
  one_cpu.placement = ONE_CPU;
  Case& no_spin =
      list->Add("unary-no-spin", "64", UNARY, 64, 1, blocking + Names{"eventfd-epoll"} + kTransports + kGrpc);
  no_spin.spin = NEVER;
  Case& free = list->Add("unary-unpinned", "64", UNARY, 64, 1, Names{"cache-line"} + sockets + kTransports + kGrpc);
  free.placement = FREE;
}

// Clients that spin have their CPU in turns of 0.2 ms: it takes long until each of many has had several.
Case& AddClients(const char* name, int clients, const Names& contestants, const Effort& effort, List* list) {
  Case& one = list->Add(name, absl::StrCat(clients), CLIENTS, 64, clients, contestants);
  one.series = name;
  one.round.set_measure_us((effort.quick ? 2 : std::max(1, clients / 100)) * effort.measure_us);
  if (effort.quick) one.rounds = std::min(effort.rounds, 2);
  return one;
}

void AddThroughput(const Effort& effort, List* list) {
  for (const int calls : {1, 8, 64}) {
    list->Add("in-flight", absl::StrCat(calls), IN_FLIGHT, 64, calls, kTransports + kGrpcCallback);
  }
  for (const uint32_t size : {64u, 64u << 10}) {
    list->Add("stream", SizeName(size), STREAM, size, 1, kTransports + kGrpc);
  }
  for (const double rate : effort.quick ? std::vector<double>{10'000} : std::vector<double>{1'000, 10'000}) {
    Case& one = list->Add("open-loop", absl::StrCat(rate), OPEN_LOOP, 64, 1, kTransports + kGrpc);
    one.round.set_rate(rate);
  }
  for (const SpinPolicy spin : {ADAPTIVE, NEVER, ALWAYS}) {
    const char* const name = spin == ADAPTIVE ? "adaptive" : spin == NEVER ? "never" : "always";
    Case& one = list->Add("threads-16", name, THREADS, 64, 16, {"shm", "unix", "tcp"});
    if (spin == ADAPTIVE) one.contestants = one.contestants + kGrpc;
    if (!effort.quick) one.rounds = 3 * effort.rounds;  // policies that differ by less than two rounds do
    one.series = one.name;
    one.spin = spin;
  }
  const std::vector<int> all = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};
  const Names connected = {"shm", "unix", "tcp", "grpc-unix"};
  for (const int clients : effort.quick ? std::vector<int>{1, 8, 64, 512} : all) {
    AddClients("clients", clients, connected, effort, list);
  }
  for (const int clients : effort.quick ? std::vector<int>{512} : std::vector<int>{8, 64, 512}) {
    AddClients("clients-no-spin", clients, {"shm", "unix", "tcp"}, effort, list).spin = NEVER;
  }
}

void AddRest(const Effort& effort, List* list) {
  Case& sleeper = list->Add("sleeper", "", SLEEPER, 64, 2, kTransports + Names{"grpc-unix"});
  sleeper.round.set_measure_us(std::min<int64_t>(effort.measure_us * 20, 1'000'000));
  sleeper.rounds = effort.quick ? 1 : std::min(effort.rounds, 3);
  Case& cost = list->Add("cost", "", UNARY, 64, 100, {"shm", "unix", "tcp", "grpc-unix", "grpc-tcp"});
  cost.cost = true;
  cost.rounds = 1;
}

}  // namespace

std::vector<Case> Cases(const Effort& effort, const std::vector<std::string>& globs) {
  List list(effort);
  AddUnary(effort, &list);
  AddThroughput(effort, &list);
  AddRest(effort, &list);
  std::vector<Case> cases = list.Take();
  const auto unwanted = [&globs](const Case& one) {
    return std::none_of(globs.begin(), globs.end(), [&one](const std::string& glob) {
      return fnmatch(glob.c_str(), one.label.c_str(), 0) == 0 || fnmatch(glob.c_str(), one.name.c_str(), 0) == 0;
    });
  };
  cases.erase(std::remove_if(cases.begin(), cases.end(), unwanted), cases.end());
  return cases;
}

std::string FloorOf(const Case& one, const std::string& contestant) {
  if (one.round.work() != UNARY || one.cost || IsFloor(contestant)) return "";
  const bool may_spin = one.placement != ONE_CPU && one.spin != NEVER;
  if (absl::StrContains(contestant, "unix")) return may_spin ? "raw-unix-spin" : "raw-unix";
  if (absl::StrContains(contestant, "tcp")) return may_spin ? "raw-tcp-spin" : "raw-tcp";
  if (!may_spin) return "eventfd";
  return one.round.size() <= 1024 ? "cache-line" : "memcpy";
}

std::string GrpcOf(const Case& one, const std::string& contestant) {
  if (IsFloor(contestant) || IsGrpc(contestant)) return "";
  std::string grpc = contestant == "tcp" ? "grpc-tcp" : "grpc-unix";
  if (one.round.work() == IN_FLIGHT) grpc += "-callback";
  return grpc;
}

bool IsFloor(const std::string& contestant) {
  return absl::StartsWith(contestant, "raw-") || contestant == "cache-line" || contestant == "memcpy" ||
         absl::StartsWith(contestant, "eventfd");
}

bool IsGrpc(const std::string& contestant) { return absl::StartsWith(contestant, "grpc-"); }

bool IsThroughput(Work work) { return work == IN_FLIGHT || work == CLIENTS || work == STREAM || work == THREADS; }

std::string SizeName(uint32_t bytes) {
  if (bytes >= 1u << 20 && bytes % (1u << 20) == 0) return absl::StrCat(bytes >> 20, "Mi");
  if (bytes >= 1u << 10 && bytes % (1u << 10) == 0) return absl::StrCat(bytes >> 10, "Ki");
  return absl::StrCat(bytes);
}

}  // namespace nearcall::benchmarks
