// A process that pushes a frame into a ring, or pops one, is killed after its first instruction, its second, and so on.
// Whoever survives sees the whole frame or none of it, and then the death; and what the reader has made something of
// does not look unread. That the tests would see a frame published too early is shown by publishing one too early.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "runtime/base/fd.h"
#include "runtime/transports/shm/shm_wire.h"
#include "tests/testing/sanitizer.h"

namespace nearcall {
namespace {

constexpr uint32_t kWords = 16;  // of payload
constexpr uint32_t kSize = kHeaderSize + kWords * sizeof(uint64_t);
constexpr uint64_t kPattern = 0x0123456789abcdef;

Fd DupOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

// What one side has before it is a Wire.
struct Side {
  Segment own = *Segment::Create(Segment::kMinRing);
  Doorbell doorbell = *Doorbell::Create();
};

std::unique_ptr<ShmWire> MakeWire(Fd socket, Side* own, Fd segment, Fd ringer) {
  return std::make_unique<ShmWire>(ShmWire::Parts{std::move(socket), std::move(own->own),
                                                  *Segment::Open(std::move(segment)), std::move(own->doorbell),
                                                  *Ringer::Open(std::move(ringer)), true, "the peer"});
}

enum class Order { kRight, kTooEarly };

// One instruction a store, so that a frame may be cut anywhere.
void Fill(uint8_t* payload) {
  auto* const words = reinterpret_cast<volatile uint64_t*>(payload);
  for (uint32_t i = 0; i < kWords; ++i) words[i] = kPattern + i;
}

__attribute__((noinline)) void Push(ShmWire* wire, Order order) {
  uint8_t* const room = wire->Claim(kSize);
  FrameHeader header{};
  header.kind = static_cast<uint8_t>(FrameKind::kPing);
  std::memcpy(room + 4, reinterpret_cast<const uint8_t*>(&header) + 4, sizeof header - 4);
  if (order == Order::kRight) Fill(room + kHeaderSize);
  wire->Commit(kSize);
  if (order == Order::kTooEarly) Fill(room + kHeaderSize);
  wire->Flush();
}

// What outlives the process that dies.
struct Shared {
  int segment_fd, ringer_fd;
  volatile bool handled;
};

// `handled`: that the reader has made something of the frame.
__attribute__((noinline)) void Pop(ShmWire* wire, Order order, Shared* shared) {
  Frame frame{};
  if (wire->Receive(&frame) != Received::kFrame) _exit(1);
  if (order == Order::kTooEarly) shared->handled = true;
  wire->Release();
  if (order == Order::kRight) shared->handled = true;
}

bool IsWhole(const Frame& frame) {
  if (frame.header.size != kSize || frame.header.kind != static_cast<uint8_t>(FrameKind::kPing)) return false;
  for (uint32_t i = 0; i < kWords; ++i) {
    uint64_t word;
    std::memcpy(&word, frame.payload + i * sizeof word, sizeof word);
    if (word != kPattern + i) return false;
  }
  return true;
}

class SingleStep : public ::testing::Test {
 protected:
  SingleStep()
      : shared_(static_cast<Shared*>(
            mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~SingleStep() override { munmap(shared_, sizeof(Shared)); }
  void SetUp() override {
    if (NEARCALL_INSTRUMENTED) GTEST_SKIP() << "most of the instructions would be the sanitizer's";
  }

  // Forks a child that connects to us and stops; `prepare(our wire)`; then the child runs `body(its wire)`, is killed
  // after `instructions` of it, and `check(our wire)`. False when it was through before.
  bool KillAfter(int instructions, absl::FunctionRef<void(ShmWire*)> warm_up, absl::FunctionRef<void(ShmWire*)> prepare,
                 absl::FunctionRef<void(ShmWire*)> body, absl::FunctionRef<void(ShmWire*)> check) {
    std::memset(shared_, 0, sizeof *shared_);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) abort();
    Side ours;
    const pid_t child = fork();
    if (child == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      close(ends[0]);
      Side theirs;
      Fd segment = DupOf(theirs.own.fd());
      Fd ringer = DupOf(theirs.doorbell.ringer_fd());
      shared_->segment_fd = segment.get();
      shared_->ringer_fd = ringer.get();
      const auto wire = MakeWire(Fd(ends[1]), &theirs, DupOf(ours.own.fd()), DupOf(ours.doorbell.ringer_fd()));
      raise(SIGSTOP);  // it is connected
      warm_up(wire.get());
      raise(SIGSTOP);  // from here on it is stepped
      body(wire.get());
      raise(SIGSTOP);  // up to here
      _exit(0);
    }
    close(ends[1]);
    AwaitStop(child);
    const auto fd_of = [&](int fd) { return Fd(open(absl::StrCat("/proc/", child, "/fd/", fd).c_str(), O_RDWR)); };
    const auto wire = MakeWire(Fd(ends[0]), &ours, fd_of(shared_->segment_fd), fd_of(shared_->ringer_fd));
    ptrace(PTRACE_CONT, child, nullptr, nullptr);
    AwaitStop(child);
    prepare(wire.get());
    bool through = false;
    for (int i = 0; i < instructions && !through; ++i) {
      ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr);
      through = AwaitStop(child) == SIGSTOP;
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    check(wire.get());
    return !through;
  }

  // The same for every number of instructions until it is through. How often `wrong` was set.
  int AtEveryInstruction(absl::FunctionRef<void(ShmWire*)> warm_up, absl::FunctionRef<void(ShmWire*)> prepare,
                         absl::FunctionRef<void(ShmWire*)> body, absl::FunctionRef<void(ShmWire*)> check) {
    int boundaries = 0;
    while (KillAfter(boundaries, warm_up, prepare, body, check) && !HasFailure() && boundaries < 100'000) ++boundaries;
    EXPECT_GT(boundaries, 50) << "too few for what it does: is ptrace allowed?";
    return boundaries;
  }

  // What a sleeper of this wire is woken by once the peer is dead; then everything that is there, up to the end.
  int FramesUntilTheEnd(ShmWire* wire, bool* all_whole) {
    WatchedFd fds[kMaxWatchedFds];
    const int count = wire->watched_fds(fds);
    pollfd polled[kMaxWatchedFds];
    for (int i = 0; i < count; ++i) polled[i] = pollfd{fds[i].fd, POLLIN, 0};
    EXPECT_GE(poll(polled, static_cast<nfds_t>(count), -1), 1);
    uint32_t ready = 0;
    for (int i = 0; i < count; ++i) {
      if (polled[i].revents != 0) ready |= 1u << i;
    }
    EXPECT_NE(ready & 2u, 0u) << "the socket does not tell of the death";
    wire->FinishSleep(ready);
    int frames = 0;
    for (;;) {
      Frame frame{};
      switch (wire->Receive(&frame)) {
        case Received::kFrame:
          *all_whole = *all_whole && IsWhole(frame);
          ++frames;
          wire->Release();
          continue;
        case Received::kNothing:
          continue;
        case Received::kClosed:
          EXPECT_EQ(wire->status().code(), absl::StatusCode::kUnavailable) << wire->status();
          return frames;
      }
    }
  }

  // How many of the boundaries of a push leave half a frame.
  int TornPushes(Order order) {
    int torn = 0, without = 0, with = 0;
    const int boundaries = AtEveryInstruction(
        [&](ShmWire* wire) { Push(wire, order); },  // once before, so that what is bound on first use is bound
        [&](ShmWire* wire) {
          Frame frame{};
          ASSERT_EQ(wire->Receive(&frame), Received::kFrame);
          wire->Release();
          ASSERT_TRUE(wire->PrepareSleep());  // it is to be rung for, too
        },
        [&](ShmWire* wire) { Push(wire, order); },
        [&](ShmWire* wire) {
          bool whole = true;
          const int frames = FramesUntilTheEnd(wire, &whole);
          EXPECT_LE(frames, 1);
          ++(frames == 0 ? without : with);
          torn += whole ? 0 : 1;
        });
    printf("push: killed at %d boundaries; no frame %d times, a frame %d times, half a frame %d times\n", boundaries,
           without, with, torn);
    EXPECT_GT(without, 0);
    EXPECT_GT(with, 0);
    return torn;
  }

  // How many of the boundaries of a pop leave a frame unread of which something was made.
  int PopsThatLookUnread(Order order) {
    int wrong = 0, unread = 0, read = 0;
    uint64_t position = 0;
    const auto push = [&](ShmWire* wire) {
      Push(wire, Order::kRight);
      position = wire->sent_bytes();
    };
    const int boundaries =
        AtEveryInstruction([&](ShmWire*) {}, push, [&](ShmWire* wire) { Pop(wire, order, shared_); },
                           [&](ShmWire* wire) {
                             bool whole = true;
                             EXPECT_EQ(FramesUntilTheEnd(wire, &whole), 0);
                             const bool looks_read = wire->PeerHasRead(position);
                             ++(looks_read ? read : unread);
                             wrong += shared_->handled && !looks_read ? 1 : 0;
                             EXPECT_NE(wire->Claim(kSize), nullptr);  // and where the reader stood makes sense
                           });
    printf("pop: killed at %d boundaries; unread %d times, read %d times, handled but unread %d times\n", boundaries,
           unread, read, wrong);
    EXPECT_GT(unread, 0);
    EXPECT_GT(read, 0);
    return wrong;
  }

  Shared* const shared_;

 private:
  // The signal with which the child has stopped.
  static int AwaitStop(pid_t child) {
    int status = 0;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) {
      ADD_FAILURE() << "the child has ended by itself: " << status;
      return SIGSTOP;
    }
    return WSTOPSIG(status);
  }
};

TEST_F(SingleStep, APushIsWholeOrHasNotHappened) { EXPECT_EQ(TornPushes(Order::kRight), 0); }

TEST_F(SingleStep, APushThatIsPublishedTooEarlyIsCaught) { EXPECT_GT(TornPushes(Order::kTooEarly), 0); }

TEST_F(SingleStep, WhatWasPoppedDoesNotLookUnread) { EXPECT_EQ(PopsThatLookUnread(Order::kRight), 0); }

TEST_F(SingleStep, APopThatIsHandledTooEarlyIsCaught) { EXPECT_GT(PopsThatLookUnread(Order::kTooEarly), 0); }

}  // namespace
}  // namespace nearcall
