// Everything at once, for as long as wanted: unary calls, streams, cancellations, deadlines, connections that come and
// go, clients and servers that are killed, over every transport. Ends with 1 if an answer was wrong, a call ended in a
// way that it must not, or the process or a server that lives throughout has grown.
//
//   bazel run -c opt //tests/death:soak -- --seconds=600

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/death/calls.h"
#include "tests/death/notebook.h"
#include "tests/testing/process.h"
#include "tests/testing/resources.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

constexpr int kCallers = 6;

// Kilobytes of memory that a process has.
long ResidentKb(pid_t pid) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(in, line);) {
    if (absl::StartsWith(line, "VmRSS:")) return atol(line.c_str() + 6);
  }
  return 0;
}

// What may not grow.
struct Sample {
  long kb = 0;
  size_t fds = 0;
  int threads = 0;
  static Sample Of(pid_t pid) {
    const Resources resources = Resources::Of(pid);
    return Sample{ResidentKb(pid), resources.fds.size(), resources.threads};
  }
  std::string ToString() const { return absl::StrCat(kb, " kB, ", fds, " fds, ", threads, " threads"); }
};

struct Counts {
  std::atomic<long> calls{0}, ok{0}, unavailable{0}, cancelled{0}, late{0}, wrong{0}, restarts{0}, clients_killed{0};
};

class Soak {
 public:
  explicit Soak(absl::Duration length) : length_(length) {
    char name[] = "/tmp/nearcall.XXXXXX";
    directory_ = mkdtemp(name);
    notebook_ = Notebook::Open(directory_ + "/notebook");
    for (const char* const scheme : {"shm", "unix", "tcp", "local"}) {
      places_.push_back(std::make_unique<Place>());
      places_.back()->address =
          std::string(scheme) == "tcp" ? "tcp:127.0.0.1:0" : absl::StrCat(scheme, ":", directory_, "/", scheme);
      Start(places_.back().get());
    }
  }

  int Run();

 private:
  struct Place {
    std::string address;
    std::unique_ptr<Process> server;
  };
  void Start(Place* place) {
    place->server = Process::Start("counted_server", {place->address, directory_ + "/notebook"});
    place->address = place->server->Hear().substr(6);
  }
  // Lives throughout; the others are killed now and then.
  Place& survivor() { return *places_.back(); }

  void CallOnAndOn(unsigned seed);
  bool CallOnce(std::mt19937* random, const std::shared_ptr<Channel>& channel);
  bool CutOff(std::mt19937* random, const std::shared_ptr<Channel>& channel, int number);
  // False: there is no server at the moment.
  bool Judge(const Outcome& outcome, int number, bool may_be_cut_off);
  void KillSomebody(std::mt19937* random);
  Sample Quiet();

  const absl::Duration length_;
  std::string directory_;
  Notebook* notebook_;
  std::vector<std::unique_ptr<Place>> places_;
  std::atomic<bool> over_{false};
  std::atomic<bool> pause_{false};
  std::atomic<int> paused_{0};
  std::atomic<uint32_t> numbers_{0};
  Counts counts_;
};

bool Soak::Judge(const Outcome& outcome, int number, bool may_be_cut_off) {
  ++counts_.calls;
  const int runs = notebook_->begun[number];
  bool fine = outcome.right && runs <= 1;
  switch (outcome.status.code()) {
    case absl::StatusCode::kOk:
      ++counts_.ok;
      fine = fine && runs == 1;
      break;
    case absl::StatusCode::kUnavailable:
      ++counts_.unavailable;
      fine = fine && !(SurelyNotSeen(outcome.status) && runs != 0);
      break;
    case absl::StatusCode::kCancelled:
      ++counts_.cancelled;
      fine = fine && may_be_cut_off;
      break;
    case absl::StatusCode::kDeadlineExceeded:
      ++counts_.late;
      fine = fine && may_be_cut_off;
      break;
    default:
      fine = false;
  }
  if (fine) return !absl::IsUnavailable(outcome.status);
  ++counts_.wrong;
  fprintf(stderr, "call %d ran %d times and ended with %s%s\n", number, runs, outcome.status.ToString().c_str(),
          outcome.right ? "" : " and a wrong answer");
  return true;
}

// A stream that is cancelled while it is read.
bool Soak::CutOff(std::mt19937* random, const std::shared_ptr<Channel>& channel, int number) {
  ClientContext context;
  const auto stream = TestService::NewStub(channel)->Chat(&context);
  Payload request, response;
  request.set_number(number);
  request.set_data(std::string((*random)() % 100'000, 'x'));
  Outcome outcome;
  for (unsigned i = 0, count = (*random)() % 4; i < count && stream->Write(request) && stream->Read(&response); ++i) {
    outcome.right = outcome.right && response.number() == number && response.data() == request.data();
  }
  context.TryCancel();
  outcome.status = stream->Finish();
  return Judge(outcome, number, /*may_be_cut_off=*/true);
}

bool Soak::CallOnce(std::mt19937* random, const std::shared_ptr<Channel>& channel) {
  const int number = static_cast<int>(1 + ++numbers_ % (Notebook::kCalls - 1));
  notebook_->begun[number] = 0;  // whoever had it is over for long
  const unsigned dice = (*random)() % 100;
  if (dice < 3) return CutOff(random, channel, number);
  const Call call = dice < 6 ? Call::kLarge : dice < 20 ? Call::kStream : Call::kSmall;
  const bool hurried = (*random)() % 20 == 0;
  const absl::Duration timeout = hurried ? absl::Microseconds((*random)() % 2000) : absl::InfiniteDuration();
  return Judge(Make(call, channel, number, timeout), number, hurried);
}

void Soak::CallOnAndOn(unsigned seed) {
  std::mt19937 random(seed);
  while (!over_) {
    if (pause_) {
      ++paused_;
      Await([&] { return !pause_ || over_; });
      --paused_;
      continue;
    }
    const std::shared_ptr<Channel> channel = CreateChannel(places_[random() % places_.size()]->address);
    for (unsigned i = 0, count = random() % 400; i < count && !over_ && !pause_; ++i) {
      if (!CallOnce(&random, channel)) absl::SleepFor(absl::Milliseconds(1));  // for the next server to come
    }
  }
}

void Soak::KillSomebody(std::mt19937* random) {
  if ((*random)() % 2 == 0) {
    Place* const place = places_[(*random)() % (places_.size() - 1)].get();
    place->server->Signal(SIGKILL);
    place->server->Wait();
    Start(place);
    ++counts_.restarts;
    return;
  }
  const Place& place = *places_[(*random)() % places_.size()];
  const auto client =
      Process::Start("counted_client", {place.address, directory_ + "/notebook", absl::StrCat((*random)() % 4), "0"});
  if (client->Hear() == "ready") client->Tell("go");
  absl::SleepFor(absl::Microseconds((*random)() % 3000));
  client->Signal(SIGKILL);
  ++counts_.clients_killed;
}

// What there is of this process while nobody calls.
Sample Soak::Quiet() {
  pause_ = true;
  Await([&] { return paused_ == kCallers; });
  absl::SleepFor(absl::Seconds(3));  // threads without work leave after a while
  return Sample::Of(getpid());
}

int Soak::Run() {
  std::vector<std::thread> callers;
  for (unsigned i = 0; i < kCallers; ++i) callers.emplace_back([this, i] { CallOnAndOn(i); });
  std::mt19937 random(99);
  const absl::Time began = absl::Now();
  Sample first_own, first_server, own, server;
  const int parts = static_cast<int>(std::clamp<int64_t>(length_ / absl::Seconds(10), 2, 10));
  for (int part = 1; part <= parts; ++part) {
    // The first part is for caches to fill.
    const absl::Time until = absl::Now() + length_ / parts;
    while (absl::Now() < until) {
      absl::SleepFor(absl::Milliseconds(20 + random() % 400));
      KillSomebody(&random);
    }
    own = Quiet();
    server = Sample::Of(survivor().server->pid());
    if (part == 1) {
      first_own = own;
      first_server = server;
    }
    printf(
        "%5.0f s: %ld calls: %ld OK, %ld UNAVAILABLE, %ld CANCELLED, %ld DEADLINE_EXCEEDED, %ld wrong; %ld servers and "
        "%ld clients killed; callers: %s; server: %s\n",
        absl::ToDoubleSeconds(absl::Now() - began), counts_.calls.load(), counts_.ok.load(), counts_.unavailable.load(),
        counts_.cancelled.load(), counts_.late.load(), counts_.wrong.load(), counts_.restarts.load(),
        counts_.clients_killed.load(), own.ToString().c_str(), server.ToString().c_str());
    fflush(stdout);
    pause_ = false;
    Await([&] { return paused_ == 0; });
  }
  over_ = true;
  for (std::thread& caller : callers) caller.join();
  // In a short run the large messages that happen to meet set the allocator's peak, which may come in either part: there
  // only what a few kilobytes for each call come to is told from it.
  const long slack_kb = (parts > 2 ? 8 : 32) * 1024;
  const auto grew = [slack_kb](const Sample& from, const Sample& to) {
    return to.fds > from.fds || to.threads > from.threads || to.kb > from.kb + from.kb / 4 + slack_kb;
  };
  const bool leaks = grew(first_own, own) || grew(first_server, server);
  printf("%s, %s\n", counts_.wrong == 0 ? "nothing wrong" : "WRONG", leaks ? "GREW" : "nothing grew");
  places_.clear();
  std::filesystem::remove_all(directory_);
  return counts_.wrong == 0 && !leaks && counts_.ok > 0 ? 0 : 1;
}

}  // namespace
}  // namespace nearcall::testing

int main(int argc, char** argv) {
  int exit_code = 0;
  if (nearcall::testing::PlayRole(argc, argv, &exit_code)) return exit_code;
  int seconds = 10;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (!absl::StartsWith(argument, "--seconds=") || !absl::SimpleAtoi(argument.substr(10), &seconds)) {
      fprintf(stderr, "usage: soak [--seconds=N]\n");
      return 2;
    }
  }
  return nearcall::testing::Soak(absl::Seconds(seconds)).Run();
}
