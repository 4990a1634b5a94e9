#include "benchmarks/load.h"

#include <algorithm>
#include <latch>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "runtime/base/clock.h"
#include "runtime/base/cpu.h"

namespace nearcall::benchmarks {

Load::Window Load::WindowFromNow(const Round& round) {
  const int64_t begin = MonotonicNanos() + round.warm_us() * 1000;
  return {begin, begin + round.measure_us() * 1000};
}

// At least one call warms up and at least one counts, however long they take.
void Load::CallRepeatedly(Caller* caller, const Window& window, Tally* tally) {
  int64_t now;
  do {
    caller->Call();
    ++tally->calls;
    now = MonotonicNanos();
  } while (now < window.begin);
  do {
    caller->Call();
    const int64_t then = MonotonicNanos();
    tally->latency.Record(then - now);
    ++tally->calls;
    ++tally->counted;
    now = then;
  } while (now < window.end);
  tally->last = now;
}

void Load::Finish(const Window& window, const Tally& tally, Sample* sample) {
  tally.latency.CopyTo(sample->mutable_latency());
  sample->set_calls(tally.calls);
  sample->set_counted(tally.counted);
  sample->set_seconds(static_cast<double>(std::max(tally.last, window.end) - window.begin) / 1e9);
}

Connection* Load::connection(size_t index) {
  while (connections_.size() <= index) connections_.push_back(client_->Connect());
  return connections_[index].get();
}

Sample Load::Run(const Round& round) {
  Sample sample;
  switch (round.work()) {
    case IN_FLIGHT:
      InFlight(round, &sample);
      break;
    case CLIENTS:
      Threads(round, false, &sample);
      break;
    case THREADS:
      Threads(round, true, &sample);
      break;
    case STREAM:
      Stream(round, &sample);
      break;
    case OPEN_LOOP:
      OpenLoop(round, &sample);
      break;
    case SLEEPER:
      Sleeper(round, &sample);
      break;
    case CONNECT:
      Connect(round, &sample);
      break;
    default:
      Unary(round, &sample);
  }
  return sample;
}

void Load::Unary(const Round& round, Sample* sample) {
  const std::unique_ptr<Caller> caller = connection(0)->NewCaller(round.size());
  const Window window = WindowFromNow(round);
  Tally tally;
  CallRepeatedly(caller.get(), window, &tally);
  Finish(window, tally, sample);
}

void Load::InFlight(const Round& round, Sample* sample) {
  struct Slot {
    std::unique_ptr<AsyncCaller> caller;
    int64_t began = 0;
    Tally tally;
  };
  const auto count = static_cast<size_t>(round.clients());
  std::vector<Slot> slots(count);
  connection(0)->NewCaller(round.size())->Call();
  const Window window = WindowFromNow(round);
  absl::BlockingCounter under_way(round.clients());
  for (Slot& slot : slots) {
    slot.caller = connection(0)->NewAsyncCaller(round.size());
    slot.caller->done = [&slot, &window, &under_way] {
      const int64_t now = MonotonicNanos();
      ++slot.tally.calls;
      if (now >= window.begin && now < window.end) {
        ++slot.tally.counted;
        slot.tally.latency.Record(now - slot.began);
      }
      if (now >= window.end) {
        under_way.DecrementCount();
        return;
      }
      slot.began = now;
      slot.caller->Start();
    };
  }
  for (Slot& slot : slots) {
    slot.began = MonotonicNanos();
    slot.caller->Start();
  }
  under_way.Wait();
  Tally all;
  for (const Slot& slot : slots) {
    all.latency.Add(slot.tally.latency);
    all.calls += slot.tally.calls;
    all.counted += slot.tally.counted;
  }
  Finish(window, all, sample);
}

void Load::Threads(const Round& round, bool share_connection, Sample* sample) {
  const auto count = static_cast<size_t>(round.clients());
  std::vector<Tally> tallies(count);
  std::vector<std::unique_ptr<Caller>> callers;
  for (size_t i = 0; i < count; ++i) {
    callers.push_back(connection(share_connection ? 0 : i)->NewCaller(round.size()));
    callers.back()->Call();
  }
  Window window;
  absl::BlockingCounter ready(round.clients());
  std::latch start(1);  // wakes all at once, where an absl::Notification wakes one who wakes the next
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      ready.DecrementCount();
      start.wait();
      CallRepeatedly(callers[i].get(), window, &tallies[i]);
    });
  }
  ready.Wait();
  window = WindowFromNow(round);
  start.count_down();
  for (std::thread& thread : threads) thread.join();
  Tally all;
  for (const Tally& tally : tallies) {
    all.latency.Add(tally.latency);
    all.calls += tally.calls;
    all.counted += tally.counted;
    all.last = std::max(all.last, tally.last);
    sample->add_of_client(tally.counted);
  }
  Finish(window, all, sample);
}

void Load::Stream(const Round& round, Sample* sample) {
  connection(0)->NewCaller(round.size())->Call();
  int64_t messages = connection(0)->Stream(round.size(), MonotonicNanos() + round.warm_us() * 1000);
  sample->set_calls(messages);
  const int64_t began = MonotonicNanos();
  messages = connection(0)->Stream(round.size(), began + round.measure_us() * 1000);
  sample->set_calls(sample->calls() + messages);
  sample->set_counted(messages);
  sample->set_seconds(static_cast<double>(MonotonicNanos() - began) / 1e9);
}

// Spins to each intended time. A call that is late because of the ones before it counts from when it was to be sent.
void Load::OpenLoop(const Round& round, Sample* sample) {
  const std::unique_ptr<Caller> caller = connection(0)->NewCaller(round.size());
  caller->Call();
  const Window window = WindowFromNow(round);
  const double period = 1e9 / round.rate();
  const double start = static_cast<double>(MonotonicNanos());
  Tally tally;
  while (true) {
    const auto intended = static_cast<int64_t>(start + period * static_cast<double>(tally.calls));
    if (intended >= window.end) break;
    while (MonotonicNanos() < intended) CpuRelax();
    caller->Call();
    ++tally.calls;
    if (intended < window.begin) continue;
    tally.last = MonotonicNanos();
    tally.latency.Record(tally.last - intended);
    ++tally.counted;
  }
  Finish(window, tally, sample);
}

// The handler sleeps while the others call: first over another connection, then over the same.
void Load::Sleeper(const Round& round, Sample* sample) {
  const std::unique_ptr<Caller> same = connection(0)->NewCaller(round.size());
  const std::unique_ptr<Caller> other = connection(1)->NewCaller(round.size());
  same->Call();
  other->Call();
  const int64_t half = round.measure_us() * 1000 / 2;
  std::thread sleeper([&] { connection(0)->Sleep(round.measure_us()); });
  const int64_t began = MonotonicNanos();
  const Window window{began, began + half};
  Tally others;
  CallRepeatedly(other.get(), window, &others);
  Tally same_connection;
  CallRepeatedly(same.get(), {window.end, window.end + half}, &same_connection);
  sleeper.join();
  same_connection.latency.CopyTo(sample->mutable_same_connection());
  Finish(window, others, sample);
  sample->set_calls(others.calls + same_connection.calls);
}

void Load::Connect(const Round& round, Sample* sample) {
  for (size_t i = 0; i < static_cast<size_t>(round.clients()); ++i) connection(i)->NewCaller(round.size())->Call();
  sample->set_calls(round.clients());
}

}  // namespace nearcall::benchmarks
