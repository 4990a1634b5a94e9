// Processes that are killed or stopped at every step of a call (NEARCALL_STEP): on each side, over each transport. What
// must hold, whatever the step:
//   the caller hears of it, with OK and the right answer, UNAVAILABLE, or its deadline where the peer only stands
//   still; a call runs at most once, and not at all where its caller is told that it was surely not seen; the next call
//   works, with another process in the place of the one that died; the survivor keeps no descriptor, mapping or thread.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "runtime/base/clock.h"
#include "tests/death/breakpoints.h"
#include "tests/death/calls.h"
#include "tests/death/notebook.h"
#include "tests/testing/process.h"
#include "tests/testing/resources.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

// How long a caller waits for a server that is stopped.
constexpr absl::Duration kPatience = absl::Milliseconds(30);

class KillPoints : public ::testing::Test {
 protected:
  KillPoints() : before_(Resources::Of(getpid())) {
    char name[] = "/tmp/nearcall.XXXXXX";
    directory_ = mkdtemp(name);
    notebook_ = Notebook::Open(directory_ + "/notebook");
  }
  ~KillPoints() override {
    server_ = nullptr;
    munmap(notebook_, sizeof(Notebook));
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string NotebookPath() const { return directory_ + "/notebook"; }
  int NextNumber() { return ++number_; }

  // A server in a process of its own, on the address that its predecessor had.
  void StartServer(const std::string& scheme) {
    if (address_.empty()) address_ = scheme == "tcp" ? "tcp:127.0.0.1:0" : absl::StrCat(scheme, ":", directory_, "/s");
    server_ = nullptr;  // the old one leaves its address first
    server_ = Process::Start("counted_server", {address_, NotebookPath()});
    const std::string ready = server_->Hear();
    ASSERT_EQ(ready.substr(0, 6), "ready ");
    address_ = ready.substr(6);
    server_before_ = Resources::Of(server_->pid());
  }
  // It may be struck before it has answered: a server that has just woken for something else.
  void BreakIn(Process* process, const std::string& step, Strike strike) {
    process->Tell(absl::StrCat("break ", step, " ", static_cast<int>(strike)));
    EXPECT_TRUE(process->Hear() == "ok" || struck());
  }
  void Forget() {
    for (auto& reached : notebook_->reached) reached = 0;
    notebook_->struck_at = 0;
  }
  bool struck() const { return notebook_->struck_at != 0; }

  // A connection for a call, as the call wants it.
  std::shared_ptr<Channel> ChannelFor(Call call) {
    std::shared_ptr<Channel> channel = CreateChannel(address_);
    if (call != Call::kConnect) channel->WaitForConnected(absl::InfiniteFuture());
    return channel;
  }
  void ExpectServes(const std::shared_ptr<Channel>& channel) {
    const int number = NextNumber();
    const Outcome next = Make(Call::kSmall, channel, number, absl::InfiniteDuration(), /*wait_for_ready=*/true);
    EXPECT_TRUE(next.status.ok()) << next.status;
    EXPECT_TRUE(next.right);
    EXPECT_EQ(notebook_->begun[number], 1);
  }
  // Whether the server has nothing left of the connections that there were.
  bool ServerIsIdle() const {
    const Resources now = Resources::Of(server_->pid());
    return now.fds.size() <= server_before_.fds.size() && now.mappings <= server_before_.mappings;
  }
  std::unique_ptr<Process> StartClient(Call call, int number) {
    auto client = Process::Start(
        "counted_client", {address_, NotebookPath(), absl::StrCat(static_cast<int>(call)), absl::StrCat(number)});
    EXPECT_EQ(client->Hear(), "ready");
    return client;
  }

  // The steps that a call comes by, on one side.
  std::set<std::string> StepsOnServer(const std::string& scheme, Call call);
  std::set<std::string> StepsOnClient(const std::string& scheme, Call call);

  Resources before_;
  std::string directory_;
  Notebook* notebook_;
  std::string address_;
  std::unique_ptr<Process> server_;
  Resources server_before_;
  int number_ = 0;
};

std::set<std::string> KillPoints::StepsOnServer(const std::string& scheme, Call call) {
  StartServer(scheme);
  Forget();
  {
    const std::shared_ptr<Channel> channel = ChannelFor(call);
    BreakIn(server_.get(), "all", Strike::kNote);
    const Outcome outcome = Make(call, channel, NextNumber());
    EXPECT_TRUE(outcome.status.ok() && outcome.right) << outcome.status;
  }
  Await([&] { return ServerIsIdle(); });
  return Reached(*notebook_);
}

std::set<std::string> KillPoints::StepsOnClient(const std::string& scheme, Call call) {
  if (server_ == nullptr) StartServer(scheme);
  Forget();
  const std::unique_ptr<Process> client = StartClient(call, NextNumber());
  BreakIn(client.get(), "all", Strike::kNote);
  client->Tell("go");
  EXPECT_EQ(client->Hear(), "OK");
  return Reached(*notebook_);
}

// The figures of one combination, for the report.
struct Tally {
  int struck = 0, missed = 0;
  std::map<std::string, int> saw;
  std::vector<int64_t> nanos;  // from the death to the caller's status

  void Print(const std::string& what) {
    std::sort(nanos.begin(), nanos.end());
    std::string statuses;
    for (const auto& [status, count] : saw) absl::StrAppend(&statuses, " ", status, " ", count);
    const auto micros = [&](size_t index) { return nanos[index] / 1000; };
    printf("| %-28s | %3d times, %2d not met |%s |", what.c_str(), struck, missed, statuses.c_str());
    if (!nanos.empty()) {
      printf(" median %lld us, worst %lld us |", static_cast<long long>(micros(nanos.size() / 2)),
             static_cast<long long>(micros(nanos.size() - 1)));
    }
    printf("\n");
  }
};

class AtEveryStep : public KillPoints, public ::testing::WithParamInterface<std::tuple<const char*, Call>> {
 public:
  std::string scheme() const { return std::get<0>(GetParam()); }
  Call call() const { return std::get<1>(GetParam()); }

  void ServerDies(const std::string& step);
  void ServerDiesAndIsReplaced(const std::string& step);
  void ServerStops(const std::string& step);
  void ClientDies(const std::string& step);
  void ClientStops(const std::string& step);
  void Count(const Outcome& outcome, bool stops = false);
  // What a call may have come to whose server died.
  void ExpectHonest(const Outcome& outcome, int number);

  // Runs `one` for each of the steps, and reports.
  void ForEach(const std::set<std::string>& steps, const char* what, void (AtEveryStep::*one)(const std::string&));

  Tally tally_;
};

void AtEveryStep::Count(const Outcome& outcome, bool stops) {
  if (!struck()) {
    ++tally_.missed;
    // A caller with little patience may lose it beside other work, too.
    EXPECT_TRUE(outcome.status.ok() || (stops && absl::IsDeadlineExceeded(outcome.status))) << outcome.status;
    return;
  }
  ++tally_.struck;
  ++tally_.saw[absl::StrCat(absl::StatusCodeToString(outcome.status.code()),
                            SurelyNotSeen(outcome.status) ? " (not seen)" : "")];
}

void AtEveryStep::ExpectHonest(const Outcome& outcome, int number) {
  const int runs = notebook_->begun[number];
  EXPECT_TRUE(outcome.right);
  EXPECT_LE(runs, 1);
  if (outcome.status.ok()) {
    EXPECT_EQ(runs, 1);
    return;
  }
  EXPECT_EQ(outcome.status.code(), absl::StatusCode::kUnavailable) << outcome.status;
  if (SurelyNotSeen(outcome.status)) {
    EXPECT_EQ(runs, 0) << outcome.status;
  }
}

void AtEveryStep::ServerDies(const std::string& step) {
  Forget();
  const int number = NextNumber();
  Outcome outcome;
  int64_t over = 0;
  {
    const std::shared_ptr<Channel> channel = ChannelFor(call());
    BreakIn(server_.get(), step, Strike::kKill);
    outcome = Make(call(), channel, number);
    over = MonotonicNanos();
  }
  Await([&] { return struck() || ServerIsIdle(); });
  Count(outcome);
  if (!outcome.status.ok()) tally_.nanos.push_back(over - notebook_->struck_at);
  ExpectHonest(outcome, number);
  const bool must_die = struck();
  const int ended = server_->Wait();
  // A step on the way to sleep may come up while the server ends, and strike one that is gone before it is hit.
  const bool died = WIFSIGNALED(ended) && WTERMSIG(ended) == SIGKILL;
  EXPECT_TRUE(died ? struck() : !must_die && WIFEXITED(ended)) << ended;
  AwaitNoMoreThan(before_, getpid());
  StartServer(scheme());
  ExpectServes(CreateChannel(address_));
  EXPECT_LE(notebook_->begun[number], 1);
}

void AtEveryStep::ServerDiesAndIsReplaced(const std::string& step) {
  Forget();
  const int number = NextNumber();
  Outcome outcome;
  std::atomic<bool> over{false};
  bool replaced = false;
  {
    const std::shared_ptr<Channel> channel = ChannelFor(call());
    BreakIn(server_.get(), step, Strike::kKill);
    std::thread caller([&] {
      outcome = Make(call(), channel, number, absl::InfiniteDuration(), /*wait_for_ready=*/true);
      over = true;
    });
    Await([&] { return struck() || over; });
    if (struck()) {
      server_->Wait();
      StartServer(scheme());
      replaced = true;
    }
    caller.join();
  }
  Await([&] { return struck() || ServerIsIdle(); });
  Count(outcome);
  ExpectHonest(outcome, number);
  if (!replaced) {  // it was struck only by the end of the connection, or not at all
    server_->Wait();
    StartServer(scheme());
  }
  ExpectServes(CreateChannel(address_));
  EXPECT_LE(notebook_->begun[number], 1);
}

void AtEveryStep::ServerStops(const std::string& step) {
  Forget();
  const int number = NextNumber();
  Outcome outcome;
  absl::Notification known;
  std::atomic<bool> over{false};
  std::shared_ptr<Channel> channel = ChannelFor(call());
  std::atomic<bool> armed{false};
  std::thread reviver([&] {
    Await([&] { return struck() || over; });
    if (!struck()) return;
    AwaitStopped(server_->pid());
    if (armed) known.WaitForNotification();
    // Until all is over: it may be stopped a second time, where it was struck while the breakpoint was being set.
    Await([&] {
      server_->Signal(SIGCONT);
      return over.load();
    });
  });
  BreakIn(server_.get(), step, Strike::kStop);
  armed = true;
  outcome = Make(call(), channel, number, kPatience);
  known.Notify();
  ExpectServes(channel);  // the connection works on
  channel = nullptr;
  Await([&] { return ServerIsIdle() && notebook_->begun[number] == notebook_->ended[number]; });
  BreakIn(server_.get(), step, Strike::kNote);  // a step that was not met must not stop it later
  over = true;
  reviver.join();
  Count(outcome, /*stops=*/true);
  EXPECT_TRUE(outcome.right);
  EXPECT_TRUE(outcome.status.ok() || absl::IsDeadlineExceeded(outcome.status)) << outcome.status;
  EXPECT_LE(notebook_->begun[number], 1);
}

void AtEveryStep::ClientDies(const std::string& step) {
  Forget();
  const int number = NextNumber();
  const std::unique_ptr<Process> client = StartClient(call(), number);
  BreakIn(client.get(), step, Strike::kKill);
  client->Tell("go");
  const std::string status = client->Hear();
  if (!struck()) {
    ++tally_.missed;
    EXPECT_EQ(status, "OK");
  } else {
    ++tally_.struck;
    EXPECT_TRUE(status.empty()) << status;
    EXPECT_EQ(client->Wait(), SIGKILL);
  }
  // Its handler hears of it, and all that was its is given back.
  Await([&] { return ServerIsIdle() && notebook_->begun[number] == notebook_->ended[number]; });
  if (struck()) tally_.nanos.push_back(MonotonicNanos() - notebook_->struck_at);
  EXPECT_LE(notebook_->begun[number], 1);
  ExpectServes(CreateChannel(address_));
}

void AtEveryStep::ClientStops(const std::string& step) {
  Forget();
  const int number = NextNumber();
  const std::unique_ptr<Process> client = StartClient(call(), number);
  BreakIn(client.get(), step, Strike::kStop);
  client->Tell("go");
  std::string status;
  std::atomic<bool> over{false};
  std::thread listener([&] {
    status = client->Hear();
    over = true;
  });
  Await([&] { return struck() || over; });
  if (struck()) {
    AwaitStopped(client->pid());
    ExpectServes(CreateChannel(address_));  // it holds nobody up
    client->Signal(SIGCONT);
  }
  listener.join();
  ++(struck() ? tally_.struck : tally_.missed);
  ++tally_.saw[status];
  EXPECT_EQ(status, "OK");
  EXPECT_EQ(notebook_->begun[number], 1);
}

void AtEveryStep::ForEach(const std::set<std::string>& steps, const char* what,
                          void (AtEveryStep::*one)(const std::string&)) {
  for (const std::string& step : steps) {
    SCOPED_TRACE(step);
    Watchdog::Watch(absl::StrCat(scheme(), ", ", NameOf(call()), ": ", what, " at ", step));
    (this->*one)(step);
    if (HasFailure()) return;
  }
  tally_.Print(absl::StrCat(scheme(), " ", NameOf(call()), ": ", what));
}

TEST_P(AtEveryStep, ServerIsKilled) {
  const std::set<std::string> steps = StepsOnServer(scheme(), call());
  if (steps.empty()) GTEST_SKIP() << "breakpoints are written for x86-64";
  ForEach(steps, "server killed", &AtEveryStep::ServerDies);
}

TEST_P(AtEveryStep, ServerIsKilledAndReplaced) {
  const std::set<std::string> steps = StepsOnServer(scheme(), call());
  if (steps.empty()) GTEST_SKIP() << "breakpoints are written for x86-64";
  ForEach(steps, "server replaced", &AtEveryStep::ServerDiesAndIsReplaced);
}

TEST_P(AtEveryStep, ServerIsStopped) {
  const std::set<std::string> steps = StepsOnServer(scheme(), call());
  if (steps.empty()) GTEST_SKIP() << "breakpoints are written for x86-64";
  ForEach(steps, "server stopped", &AtEveryStep::ServerStops);
}

TEST_P(AtEveryStep, ClientIsKilled) {
  const std::set<std::string> steps = StepsOnClient(scheme(), call());
  if (steps.empty()) GTEST_SKIP() << "breakpoints are written for x86-64";
  ForEach(steps, "client killed", &AtEveryStep::ClientDies);
}

TEST_P(AtEveryStep, ClientIsStopped) {
  const std::set<std::string> steps = StepsOnClient(scheme(), call());
  if (steps.empty()) GTEST_SKIP() << "breakpoints are written for x86-64";
  ForEach(steps, "client stopped", &AtEveryStep::ClientStops);
}

constexpr const char* kSchemes[] = {"shm", "unix", "tcp"};

INSTANTIATE_TEST_SUITE_P(All, AtEveryStep,
                         ::testing::Combine(::testing::ValuesIn(kSchemes), ::testing::ValuesIn(kAllCalls)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param), "_", NameOf(std::get<1>(info.param)));
                         });

// Otherwise a step would be one that the tests above never come by.
TEST_F(KillPoints, EveryStepIsReachedSomewhere) {
  if (AllSteps().empty()) GTEST_SKIP() << "breakpoints are written for x86-64";
  std::set<std::string> reached;
  for (const char* const scheme : kSchemes) {
    address_.clear();
    for (const Call call : kAllCalls) {
      const std::set<std::string> on_server = StepsOnServer(scheme, call);
      const std::set<std::string> on_client = StepsOnClient(scheme, call);
      reached.insert(on_server.begin(), on_server.end());
      reached.insert(on_client.begin(), on_client.end());
      printf("| %-4s | %-7s | %2zu steps on the server | %2zu on the client |\n", scheme, NameOf(call),
             on_server.size(), on_client.size());
    }
  }
  EXPECT_GE(AllSteps().size(), 40u);
  for (const std::string& step : AllSteps()) EXPECT_EQ(reached.count(step), 1u) << step << " is never reached";
}

}  // namespace
}  // namespace nearcall::testing
