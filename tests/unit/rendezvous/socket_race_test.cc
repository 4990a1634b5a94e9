// Several servers and one path: by chance, a thousand times, and step by step, in every order that system calls allow.

#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/rendezvous/connect.h"
#include "runtime/rendezvous/socket_file.h"
#include "runtime/rendezvous/unix_address.h"
#include "tests/unit/rendezvous/fixture.h"

namespace nearcall {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int kRacers = 2;
constexpr int kRounds = 1000;

enum Result { kWon = 0, kRefused = 1, kFailed = 2 };

Result ResultOf(const absl::Status& status) {
  if (status.ok()) return kWon;
  return absl::IsAlreadyExists(status) ? kRefused : kFailed;
}

class SocketRaceTest : public RendezvousTest {
 protected:
  // One of the states in which servers may find the path.
  void Litter(int kind) {
    if (kind & 1) LeaveStaleSocket(PathOf("s"));
    if (kind & 2) WriteFile(PathOf("s.lock"), "");
    if (kind & 4) LeaveStaleSocket(PathOf("s.new"));
  }
  static constexpr int kKindsOfLitter = 8;
};

// A meeting point of threads or processes, in memory that they share, which they leave as close together as can be.
class Gate {
 public:
  // All arrivals are to the same number of earlier rounds.
  void Pass(int participants) {
    const int round = arrived_.fetch_add(1) / participants;
    while (arrived_.load() < (round + 1) * participants) sched_yield();
  }

 private:
  // Each one's addition pairs with the others' loads.
  std::atomic<int> arrived_{0};
};

TEST_F(SocketRaceTest, ThreadsRaceForOnePath) {
  Gate start, bound, checked, closed;
  Result results[kRacers];
  std::vector<std::thread> racers;
  for (int racer = 0; racer < kRacers; ++racer) {
    racers.emplace_back([&, racer] {
      for (int round = 0; round < kRounds; ++round) {
        start.Pass(kRacers + 1);
        absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
        results[racer] = ResultOf(server.status());
        bound.Pass(kRacers + 1);
        checked.Pass(kRacers + 1);
        if (server.ok()) server->Close();
        closed.Pass(kRacers + 1);
      }
    });
  }
  for (int round = 0; round < kRounds; ++round) {
    Litter(round % kKindsOfLitter);
    start.Pass(kRacers + 1);
    bound.Pass(kRacers + 1);
    EXPECT_EQ(results[0] + results[1], kWon + kRefused) << "round " << round;
    EXPECT_TRUE(ConnectUnix(PathOf("s"), kNever).ok()) << "round " << round;
    EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
    checked.Pass(kRacers + 1);
    closed.Pass(kRacers + 1);
    EXPECT_THAT(Files(), IsEmpty());
  }
  for (std::thread& racer : racers) racer.join();
}

// What processes share; zero-filled memory is a good state for all of it.
struct Shared {
  Gate start, bound, checked, closed;
  std::atomic<int> results[kRacers];
  std::atomic<int> holders, wins, overlaps;
};

class SharedMemory {
 public:
  SharedMemory()
      : shared_(new (mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared) {
  }
  ~SharedMemory() { munmap(shared_, sizeof(Shared)); }
  Shared* operator->() { return shared_; }

 private:
  Shared* shared_;
};

TEST_F(SocketRaceTest, ProcessesRaceForOnePath) {
  SharedMemory shared;
  pid_t racers[kRacers];
  for (int racer = 0; racer < kRacers; ++racer) {
    racers[racer] = ForkMortal();
    if (racers[racer] != 0) continue;
    for (int round = 0; round < kRounds; ++round) {
      shared->start.Pass(kRacers + 1);
      absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
      shared->results[racer] = ResultOf(server.status());
      shared->bound.Pass(kRacers + 1);
      shared->checked.Pass(kRacers + 1);
      if (server.ok()) server->Close();
      shared->closed.Pass(kRacers + 1);
    }
    _exit(0);
  }
  for (int round = 0; round < kRounds; ++round) {
    Litter(round % kKindsOfLitter);
    shared->start.Pass(kRacers + 1);
    shared->bound.Pass(kRacers + 1);
    EXPECT_EQ(shared->results[0] + shared->results[1], kWon + kRefused) << "round " << round;
    EXPECT_TRUE(ConnectUnix(PathOf("s"), kNever).ok()) << "round " << round;
    EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
    shared->checked.Pass(kRacers + 1);
    shared->closed.Pass(kRacers + 1);
    EXPECT_THAT(Files(), IsEmpty());
  }
  for (const pid_t racer : racers) {
    int status;
    ASSERT_EQ(waitpid(racer, &status, 0), racer);
    EXPECT_EQ(status, 0);
  }
}

// Comes and goes as fast as it can, and counts how often somebody else was there as well.
void Churn(Shared* shared, const std::string& path) {
  for (int round = 0; round < kRounds; ++round) {
    absl::StatusOr<SocketFile> server = SocketFile::Bind(path);
    if (!server.ok()) {
      if (!absl::IsAlreadyExists(server.status())) shared->overlaps += 1000000;
      continue;
    }
    shared->wins += 1;
    if (shared->holders.fetch_add(1) != 0) shared->overlaps += 1;
    if (!ConnectUnix(path, kNever).ok()) shared->overlaps += 1000;
    shared->holders.fetch_sub(1);
  }
}

TEST_F(SocketRaceTest, ServersComeAndGo) {
  SharedMemory shared;
  pid_t racers[kRacers];
  for (pid_t& racer : racers) {
    racer = ForkMortal();
    if (racer != 0) continue;
    std::thread other([&] { Churn(shared.operator->(), PathOf("s")); });
    Churn(shared.operator->(), PathOf("s"));
    other.join();
    _exit(0);
  }
  for (const pid_t racer : racers) {
    int status;
    ASSERT_EQ(waitpid(racer, &status, 0), racer);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(shared->overlaps, 0);
  EXPECT_GT(shared->wins, 0);
  EXPECT_THAT(Files(), IsEmpty());
}

// --- Step by step
// -----------------------------------------------------------------------------------------------------

// Runs a process to each of its steps in turn, from each kind of litter, and has `check` look at it stopped there.
class SocketStepTest : public SocketRaceTest {
 protected:
  void AtEveryStep(
      absl::FunctionRef<int()> body, absl::FunctionRef<void(SteppedProcess*)> check,
      absl::FunctionRef<void()> prepare = [] {}) {
    for (int litter = 0; litter < kKindsOfLitter; ++litter) {
      int steps = 0;
      for (;; ++steps) {
        SCOPED_TRACE(absl::StrCat("litter ", litter, ", step ", steps));
        Litter(litter);
        SteppedProcess process(body);
        prepare();  // not before: the process is to inherit nothing
        bool running = true;
        for (int i = 0; i < steps && running; ++i) running = process.Step();
        check(&process);
        EXPECT_THAT(Files(), IsEmpty());
        if (HasFailure() || !running) break;
      }
      EXPECT_GT(steps, 10) << "too few for what it does: is ptrace allowed?";
      if (HasFailure()) break;
    }
  }
};

TEST_F(SocketStepTest, AServerKilledAnywhereIsSucceeded) {
  AtEveryStep(
      [&] {
        absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
        if (server.ok()) server->Close();
        return 0;
      },
      [&](SteppedProcess* process) {
        process->Kill();
        absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
        ASSERT_TRUE(server.ok()) << server.status();
        EXPECT_TRUE(Reaches(PathOf("s"), *server));
        EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
      });
}

TEST_F(SocketStepTest, OfTwoThatStartOneWins) {
  AtEveryStep([&] { return ResultOf(SocketFile::Bind(PathOf("s")).status()); },
              [&](SteppedProcess* process) {
                absl::StatusOr<SocketFile> second = SocketFile::Bind(PathOf("s"));
                const Result result = ResultOf(second.status());
                if (result == kWon) {
                  // The first one either has not got far, or was there and is gone (its Bind ended with its server's).
                  EXPECT_NE(process->Finish(), kFailed);
                  EXPECT_TRUE(Reaches(PathOf("s"), *second));
                  EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
                } else {
                  EXPECT_EQ(result, kRefused) << second.status();
                  EXPECT_EQ(process->Finish(), kWon);
                }
              });
}

TEST_F(SocketStepTest, ALoserTakesNothingAway) {
  // The second server is there for good before the first one goes on, and for the rest of its steps.
  AtEveryStep(
      [&] {
        absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
        const Result result = ResultOf(server.status());
        if (server.ok()) server->Close();
        return result;
      },
      [&](SteppedProcess* process) {
        std::optional<SocketFile> second;
        // As soon as the path is free.
        do {
          absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
          if (server.ok()) {
            second = *std::move(server);
            break;
          }
          EXPECT_TRUE(absl::IsAlreadyExists(server.status())) << server.status();
        } while (process->Step());
        if (!second.has_value()) second = SocketFile::Bind(PathOf("s")).value();
        while (process->Step()) EXPECT_TRUE(Reaches(PathOf("s"), *second));
        EXPECT_NE(process->Finish(), kFailed);
        EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
      });
}

TEST_F(SocketStepTest, AServerThatStartsWhileAnotherStops) {
  int won = 0, refused = 0;
  std::optional<SocketFile> old;
  AtEveryStep(
      [&] {
        absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
        if (!server.ok()) return ResultOf(server.status());
        // Not the lock that the old server has removed: the next one would not find it.
        const bool sound = access(PathOf("s.lock").c_str(), F_OK) == 0 && Reaches(PathOf("s"), *server);
        server->Close();
        return sound ? kWon : kFailed;
      },
      [&](SteppedProcess* process) {
        old.reset();
        const int result = process->Finish();
        EXPECT_NE(result, kFailed);
        won += result == kWon;
        refused += result == kRefused;
      },
      [&] { old = SocketFile::Bind(PathOf("s")).value(); });
  EXPECT_GT(won, 0);
  EXPECT_GT(refused, 0);
}

TEST_F(SocketStepTest, AnotherProgramsServerThatComesInBetweenIsLeftAlone) {
  for (const std::string name : {"s", "s.new"}) {
    const UnixAddress address = PathAddress(PathOf(name)).value();
    int won = 0, refused = 0;
    AtEveryStep(
        [&] {
          absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
          const Result result = ResultOf(server.status());
          if (server.ok()) server->Close();
          return result;
        },
        [&](SteppedProcess* process) {
          Fd foreign(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
          const bool there = bind(foreign.get(), address.get(), address.size) == 0;
          ASSERT_EQ(there ? listen(foreign.get(), 100) : 0, 0);
          const int result = process->Finish();
          EXPECT_NE(result, kFailed);
          won += result == kWon;
          refused += result == kRefused;
          if (there) {
            EXPECT_TRUE(ConnectUnix(PathOf(name), kNever).ok());
            ASSERT_EQ(unlink(PathOf(name).c_str()), 0);
          }
          // A server that was refused because of one name need not have cleaned up the other.
          unlink(PathOf("s").c_str());
        });
    EXPECT_GT(won, 0) << name;
    EXPECT_GT(refused, 0) << name;
  }
}

}  // namespace
}  // namespace nearcall
