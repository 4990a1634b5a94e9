#ifndef NEARCALL_TESTS_UNIT_ENGINE_BELL_H_
#define NEARCALL_TESTS_UNIT_ENGINE_BELL_H_

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/base/fd.h"
#include "runtime/engine/reactor.h"

namespace nearcall {

// Something to poll: does its work when it is rung for.
class Bell final : public Pollable {
 public:
  // What its descriptor is like: a doorbell's, which is written only for who sleeps, and told of once; or a socket's,
  // which is ready for as long as nobody has read it.
  enum class Kind { kDoorbell, kSocket };

  explicit Bell(std::function<void()> work, Kind kind = Kind::kDoorbell, bool worth_spinning = true)
      : work_(std::move(work)),
        kind_(kind),
        worth_spinning_(worth_spinning),
        fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Any thread.
  void Ring() {
    if (kind_ == Kind::kDoorbell) rung_ = true;
    if (kind_ == Kind::kSocket || sleeps_.load()) {
      const uint64_t one = 1;
      EXPECT_EQ(write(fd_.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
  }
  void Finish() {
    finished_ = true;
    Ring();
  }

  Polled Poll() override {
    EXPECT_FALSE(inside_.exchange(true)) << "two pollers at once";
    ++looks_;
    uint64_t count;
    const bool rung = kind_ == Kind::kSocket ? read(fd_.get(), &count, sizeof count) > 0 : rung_.exchange(false);
    if (rung) work_();
    inside_ = false;
    if (finished_) return Polled::kFinished;
    return rung ? Polled::kProgress : Polled::kIdle;
  }
  bool PrepareSleep() override {
    sleeps_ = true;
    return !rung_;
  }
  void FinishSleep(uint32_t) override { sleeps_ = false; }
  bool worth_spinning() const override { return worth_spinning_; }
  int watched_fds(WatchedFd* fds) const override {
    fds[0] = WatchedFd{fd_.get(), kind_ == Kind::kDoorbell};
    return 1;
  }
  int fd() const { return fd_.get(); }
  int looks() const { return looks_; }

 private:
  const std::function<void()> work_;
  const Kind kind_;
  const bool worth_spinning_;
  std::atomic<bool> rung_{false};  // a doorbell
  std::atomic<int> looks_{0};
  std::atomic<bool> sleeps_{false}, finished_{false}, inside_{false};
  Fd fd_;
};

// Has the reactor let go of it.
inline void Remove(Reactor* reactor, const std::shared_ptr<Bell>& bell) {
  WaitSpot spot;
  bell->Finish();
  while (bell.use_count() > 1) {
    reactor->Wait([&] { return bell.use_count() == 1; }, &spot, MonotonicNanos() + 1'000'000);
  }
}

// What an epoll of this process watches the descriptor for; nothing if none does.
inline std::optional<uint32_t> WatchedFor(int fd) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    for (std::string word; info >> word;) {
      int watched;
      uint32_t events;
      if (word != "tfd:" || !(info >> watched) || watched != fd) continue;
      if (info >> word >> std::hex >> events) return events;
    }
  }
  return std::nullopt;
}

}  // namespace nearcall

#endif  // NEARCALL_TESTS_UNIT_ENGINE_BELL_H_
