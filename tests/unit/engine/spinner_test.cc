#include "runtime/engine/spinner.h"

#include <sched.h>

#include <atomic>
#include <thread>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace nearcall {
namespace {

// A machine whose clock stands still but for what the test does.
struct TestMachine {
  static inline int64_t now = 0;
  static inline int cpus = 2;
  static inline int64_t others_take = 0;  // of the CPU, when it is offered to them

  static int64_t Nanos() { return now; }
  static int AllowedCpus() { return cpus; }
  static void GiveWay() { now += others_take; }
};
using TestSpinner = BasicSpinner<TestMachine>;

constexpr int64_t kMicro = 1'000;
constexpr int64_t kLook = 40;  // what one look takes
constexpr int64_t kForEver = int64_t{1} << 60;

struct Outcome {
  bool hit;
  int64_t spun;
};

// A wait of the calling side for what comes at `arrival`.
Outcome WaitUntil(TestSpinner* spinner, int64_t arrival) {
  const int64_t began = TestMachine::now;
  spinner->Begin();
  for (;;) {
    TestMachine::now += kLook;
    if (TestMachine::now >= arrival) {
      spinner->Hit();
      return {true, TestMachine::now - began};
    }
    if (!spinner->KeepSpinning()) break;
  }
  spinner->Miss();
  return {false, TestMachine::now - began - kLook};
}
Outcome Wait(TestSpinner* spinner, int64_t nanos) { return WaitUntil(spinner, TestMachine::now + nanos); }

// How long a wait that finds nothing spins.
int64_t Spins(TestSpinner* spinner) { return Wait(spinner, kForEver).spun; }

class SpinnerTest : public testing::Test {
 protected:
  void SetUp() override {
    TestMachine::cpus = 2;
    TestMachine::others_take = 0;
  }

  // One that has learnt that spinning does not pay, and tries as seldom as it ever does.
  static TestSpinner Discouraged() {
    TestSpinner spinner(Spin::kAdaptive);
    for (int i = 0; i < 200; ++i) Spins(&spinner);
    return spinner;
  }
};

TEST_F(SpinnerTest, NeverSleepsAtOnce) {
  TestSpinner spinner(Spin::kNever);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(Spins(&spinner), 0);
}

TEST_F(SpinnerTest, AlwaysSpinsEachTimeAndEnds) {
  for (const int cpus : {1, 2}) {
    TestMachine::cpus = cpus;
    TestSpinner spinner(Spin::kAlways);
    for (int i = 0; i < 100; ++i) {
      const int64_t spun = Spins(&spinner);
      EXPECT_GT(spun, 200 * kMicro);
      EXPECT_LT(spun, 500 * kMicro);
    }
  }
}

TEST_F(SpinnerTest, AdaptiveGivesUpWhatDoesNotPayAndTriesAgainNowAndThen) {
  TestSpinner spinner(Spin::kAdaptive);
  const int64_t first = Spins(&spinner);
  EXPECT_GT(first, 50 * kMicro) << "it begins with a budget";
  EXPECT_LT(first, 70 * kMicro);
  for (int i = 0; i < 200; ++i) Spins(&spinner);
  int probes = 0;
  int64_t spun = 0;
  for (int i = 0; i < 6400; ++i) {
    const int64_t spins = Spins(&spinner);
    probes += spins > 0;
    spun += spins;
  }
  EXPECT_EQ(probes, 100);
  EXPECT_LT(spun, 100 * 250 * kMicro);
}

TEST_F(SpinnerTest, AdaptiveComesBackWhenItPays) {
  TestSpinner spinner = Discouraged();
  int waits = 0;
  while (!Wait(&spinner, 1 * kMicro).hit) ASSERT_LE(++waits, 64);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Wait(&spinner, 50 * kMicro).hit);
}

// Whoever had to wait for long a few times, with all the others who came at once, finds out soon that this is over.
TEST_F(SpinnerTest, AdaptiveTriesAgainSoonAtFirstAndThenLessAndLessOften) {
  for (const int cpus : {1, 2}) {
    SCOPED_TRACE(cpus);
    TestMachine::cpus = cpus;
    TestSpinner spinner(Spin::kAdaptive);
    ASSERT_TRUE(Wait(&spinner, 1 * kMicro).hit);
    for (int i = 0; i < 3; ++i) {
      while (Spins(&spinner) > 0) {
      }
      int waits = 0;
      while (!Wait(&spinner, 1 * kMicro).hit) ASSERT_LE(++waits, 4);
    }
    while (Spins(&spinner) > 0) {
    }
    int probes = 0;
    for (int i = 0; i < 200; ++i) probes += Spins(&spinner) > 0;
    EXPECT_GE(probes, 4);
    EXPECT_LE(probes, 7);
  }
}

TEST_F(SpinnerTest, AdaptiveLearnsNothingFromWhatWasThereAtTheFirstLook) {
  TestSpinner spinner = Discouraged();
  int spun = 0;
  for (int i = 0; i < 640; ++i) {
    EXPECT_TRUE(Wait(&spinner, 0).hit);
    spun += Spins(&spinner) > 0;
  }
  EXPECT_EQ(spun, 10);
}

// Between two waits a poller finds work at its first look: a look that is none of a wait's must not use a probe up.
TEST_F(SpinnerTest, EveryWaitMayBeTheProbe) {
  TestSpinner spinner = Discouraged();
  int spun = 0;
  for (int i = 0; i < 640; ++i) {
    Wait(&spinner, 0);
    spun += Spins(&spinner) > 0;
    Wait(&spinner, 0);
  }
  EXPECT_EQ(spun, 10);
}

// The peer may have another CPU, or wait for this one.
TEST_F(SpinnerTest, AdaptiveHardlySpinsOnOneCpuWhereItDoesNotPay) {
  TestMachine::cpus = 1;
  TestSpinner spinner(Spin::kAdaptive);
  int spun = 0;
  for (int i = 0; i < 20'000; ++i) spun += Spins(&spinner) > 0;
  EXPECT_GT(spun, 2);
  EXPECT_LT(spun, 60);
}

TEST_F(SpinnerTest, AdaptiveSpinsOnOneCpuWhereItPays) {
  TestMachine::cpus = 1;
  TestSpinner spinner(Spin::kAdaptive);
  ASSERT_TRUE(Wait(&spinner, 1 * kMicro).hit);
  EXPECT_TRUE(Wait(&spinner, 1 * kMicro).hit);
}

// A wait that somebody else interrupted says nothing about waiting.
TEST_F(SpinnerTest, AdaptiveLearnsNothingFromTimeThatOthersTook) {
  TestSpinner spinner(Spin::kAdaptive);
  for (int i = 0; i < 20; ++i) {
    spinner.Begin();
    for (int look = 0; look < 40; ++look) ASSERT_TRUE(spinner.KeepSpinning());
    TestMachine::now += 200 * kMicro;  // as good as being descheduled
    spinner.Hit();
  }
  spinner.Begin();
  EXPECT_TRUE(spinner.KeepSpinning());
  // But not for ever: where each look takes so long, sleeping is better.
  int interruptions = 0;
  while (spinner.KeepSpinning()) {
    TestMachine::now += 200 * kMicro;
    ASSERT_LT(++interruptions, 1000);
  }
}

// Two sides that call each other in turn. Whoever sleeps when its message comes is awake `wakes` later.
class Conversation {
 public:
  explicit Conversation(int64_t wakes) : wakes_(wakes) {}

  // A call whose handler takes `handler`: how long it took.
  int64_t Call(int64_t handler) {
    const int64_t sent = now_ + kMicro;  // longer than the server's first look takes
    TestMachine::now = server_waits_since_;
    const Outcome served = WaitUntil(&server_, sent);
    const int64_t jitter = (++calls_ % 32) * kLook;  // no two calls meet the other side's looks alike
    server_waits_since_ = sent + (served.hit ? kLook : wakes_) + handler + jitter;
    TestMachine::now = sent;
    const Outcome answered = WaitUntil(&client_, server_waits_since_);
    client_spun_ += answered.spun;
    now_ = server_waits_since_ + (answered.hit ? kLook : wakes_);
    return now_ - sent;
  }
  // Both sleep by themselves from now on; the server's probe comes so many calls before the client's.
  void FallAsleep(int phase) {
    for (int i = 0; i < 20; ++i) Spins(&client_);
    for (int i = 0; i < 20 + phase; ++i) Spins(&server_);
    now_ = server_waits_since_ = TestMachine::now;
  }

  int64_t now() const { return now_; }
  int64_t client_spun() const { return client_spun_; }

 private:
  const int64_t wakes_;
  TestSpinner client_{Spin::kAdaptive};
  TestSpinner server_{Spin::kAdaptive};
  int64_t now_ = TestMachine::now;
  int64_t server_waits_since_ = TestMachine::now;
  int64_t calls_ = 0;
  int64_t client_spun_ = 0;
};

// Two sides that have begun to sleep: how many calls it takes until both of them spin for good.
int CallsUntilBothSpin(Conversation* conversation, int phase) {
  conversation->FallAsleep(phase);
  int slow = 0;
  for (int calls = 1; calls <= 5'000; ++calls) {
    if (conversation->Call(kMicro) > 3 * kMicro) slow = calls;
  }
  return slow;
}

// It takes two to spin, and they find together however long it takes to wake up.
TEST_F(SpinnerTest, TwoSidesThatSleepFindBackToSpinning) {
  for (const int64_t wakes : {5 * kMicro, 30 * kMicro, 70 * kMicro, 130 * kMicro, 200 * kMicro}) {
    SCOPED_TRACE(wakes);
    Conversation conversation(wakes);
    for (const int cpus : {2, 1}) {  // 1: each side its own, although it cannot know that
      TestMachine::cpus = cpus;
      const int probe_every = cpus == 1 ? 512 : 64;
      for (int phase = 0; phase < 40; ++phase) {
        const int calls = CallsUntilBothSpin(&conversation, phase);
        EXPECT_GT(calls, 0) << "they do not sleep: the test is in vain";
        EXPECT_LE(calls, 2 * probe_every + 32) << "each side's probe";
      }
    }
  }
}

// A time in which patience was of no use is forgotten.
TEST_F(SpinnerTest, TwoSidesFindBackToSpinningAfterHandlersThatTookLong) {
  Conversation conversation(/*wakes=*/130 * kMicro);
  for (int i = 0; i < 100'000; ++i) conversation.Call(150 * kMicro);
  EXPECT_LE(CallsUntilBothSpin(&conversation, 0), 64 * 64);
  for (int phase = 1; phase < 10; ++phase) CallsUntilBothSpin(&conversation, phase);
  EXPECT_LE(CallsUntilBothSpin(&conversation, 10), 2 * 64 + 32);
}

// Where it is the handler that takes longer than anybody should spin, little CPU goes into trying.
TEST_F(SpinnerTest, HandlersThatTakeLongAreWaitedForAsleep) {
  for (const int64_t handler : {70 * kMicro, 150 * kMicro, 230 * kMicro, 400 * kMicro}) {
    SCOPED_TRACE(handler);
    Conversation conversation(/*wakes=*/30 * kMicro);
    const int64_t began = conversation.now();
    for (int i = 0; i < 100'000; ++i) conversation.Call(handler);
    EXPECT_LT(conversation.client_spun(), (conversation.now() - began) / 20);
  }
}

// Patience ends where others take the CPU.
TEST_F(SpinnerTest, PatienceIsForACpuThatNobodyElseWants) {
  for (const int cpus : {1, 2}) {
    for (const int64_t others_take : {3 * kMicro, 20 * kMicro}) {
      TestMachine::cpus = cpus;
      TestMachine::others_take = 0;
      TestSpinner spinner = Discouraged();
      // What two patient waits are for comes late: there are more of them to come.
      for (int patient = 0; patient < 2;) patient += Wait(&spinner, 100 * kMicro).hit;
      TestMachine::others_take = others_take;
      int64_t spun = 0;
      for (int i = 0; i < 1000; ++i) spun += Spins(&spinner);
      EXPECT_LE(spun, (1000 / 64 + 2) * (65 * kMicro + others_take)) << "few of them spin, and not for long";
    }
  }
}

// Restores the CPUs that this thread may run on.
class OnOneCpu {
 public:
  OnOneCpu() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  ~OnOneCpu() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// How often a thread that shares the CPU has it while `body` runs.
template <class Body>
int64_t TurnsOfANeighbour(const Body& body) {
  const OnOneCpu one;
  std::atomic<bool> over{false};
  std::atomic<int64_t> turns{0};
  std::thread other([&] {
    while (!over) {
      ++turns;
      sched_yield();
    }
  });
  while (turns == 0) sched_yield();
  const int64_t before = turns;
  body();
  const int64_t after = turns;
  over = true;
  other.join();
  return after - before;
}

// Whoever spins gives way to others far more often than the scheduler would make it.
TEST_F(SpinnerTest, GivesWayToThreadsThatShareItsCpu) {
  const auto spent = [] {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return absl::DurationFromTimespec(now);
  };
  Spinner spinner(Spin::kAlways);
  const int64_t turns = TurnsOfANeighbour([&] {
    for (const absl::Duration end = spent() + absl::Milliseconds(200); spent() < end;) {
      spinner.Begin();
      while (spinner.KeepSpinning()) continue;
      spinner.Miss();
    }
  });
  // About a thousand; without giving way the scheduler switches fifty times or so.
  EXPECT_GT(turns, 125);
}

// Other threads wait, too: each wait lets them run.
TEST_F(SpinnerTest, InACrowdGivesWayInEachWait) {
  constexpr int kWaits = 2000;
  Spinner spinner(Spin::kAlways);
  const auto turns = [&](bool crowded) {
    return TurnsOfANeighbour([&] {
      for (int i = 0; i < kWaits; ++i) {
        spinner.Begin(crowded);
        for (int look = 0; look < 4; ++look) ASSERT_TRUE(spinner.KeepSpinning());
        spinner.Hit();
      }
    });
  };
  EXPECT_GE(turns(/*crowded=*/true), kWaits * 9 / 10);
  EXPECT_LT(turns(/*crowded=*/false), kWaits / 2);
}

}  // namespace
}  // namespace nearcall
