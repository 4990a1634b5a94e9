// What a peer may hand us as its memory and its doorbell, and what we take.

#include "runtime/transports/shm/segment.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "runtime/transports/shm/doorbell.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace nearcall {
namespace {

constexpr size_t kRing = 64 * 1024;
constexpr int kRequired = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

Fd Memfd(size_t size, int seals) {
  Fd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  if (seals != 0) {
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0) << seals;
  }
  return fd;
}

int OpenFds() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

TEST(SegmentTest, WhatTheOwnerWritesThePeerReads) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok()) << own.status();
  absl::StatusOr<Segment> peer = Segment::Open(Fd(dup(own->fd())));
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->ring_size(), kRing);
  std::strcpy(reinterpret_cast<char*>(own->ring()) + 100, "frame");
  EXPECT_STREQ(reinterpret_cast<char*>(peer->ring()) + 100, "frame");
  own->control()->read_position.store(77);
  EXPECT_EQ(peer->control()->read_position.load(), 77u);
}

TEST(SegmentTest, TheRingFollowsItself) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok());
  absl::StatusOr<Segment> peer = Segment::Open(Fd(dup(own->fd())));
  ASSERT_TRUE(peer.ok());
  std::memcpy(own->ring() + kRing - 3, "abcdef", 6);  // across the end
  EXPECT_EQ(std::memcmp(own->ring(), "def", 3), 0);
  EXPECT_EQ(std::memcmp(peer->ring() + kRing - 3, "abcdef", 6), 0);
}

TEST(SegmentTest, NobodyElseCanWriteOrResizeIt) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, own->fd(), 0), MAP_FAILED);
  EXPECT_LT(pwrite(own->fd(), "x", 1, 0), 0);
  EXPECT_NE(ftruncate(own->fd(), 0), 0);
  EXPECT_NE(ftruncate(own->fd(), 1 << 20), 0);
  EXPECT_NE(fallocate(own->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
  void* const readable = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, own->fd(), 0);
  ASSERT_NE(readable, MAP_FAILED);
  EXPECT_NE(mprotect(readable, 4096, PROT_READ | PROT_WRITE), 0);
  munmap(readable, 4096);
}

TEST(SegmentTest, TakesNoOtherThanTheRightSeals) {
  const int seals[] = {F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE};
  int accepted = 0;
  for (int set = 0; set < 32; ++set) {
    int chosen = 0;
    for (int i = 0; i < 5; ++i) chosen |= (set >> i & 1) != 0 ? seals[i] : 0;
    const absl::StatusOr<Segment> opened = Segment::Open(Memfd(Segment::kControlSize + kRing, chosen));
    EXPECT_EQ(opened.ok(), (chosen & kRequired) == kRequired) << chosen << " " << opened.status();
    accepted += opened.ok();
  }
  EXPECT_EQ(accepted, 2);  // with and without F_SEAL_WRITE
}

TEST(SegmentTest, TakesNoOtherThanAProperSize) {
  const auto opens = [](size_t size) { return Segment::Open(Memfd(size, kRequired)).ok(); };
  EXPECT_TRUE(opens(Segment::kControlSize + Segment::kMinRing));
  EXPECT_TRUE(opens(Segment::kControlSize + Segment::kMaxRing));
  EXPECT_FALSE(opens(0));
  EXPECT_FALSE(opens(Segment::kControlSize));
  EXPECT_FALSE(opens(Segment::kControlSize + Segment::kMinRing / 2));
  EXPECT_FALSE(opens(Segment::kControlSize + Segment::kMinRing + 1));
  EXPECT_FALSE(opens(Segment::kControlSize + Segment::kMinRing - 1));
  EXPECT_FALSE(opens(Segment::kControlSize + 3 * Segment::kMinRing));
  EXPECT_FALSE(opens(Segment::kControlSize + 2 * Segment::kMaxRing));
  EXPECT_FALSE(opens(size_t{1} << 40));
}

TEST(SegmentTest, TakesNothingButAMemfd) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  int sockets[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
  const int before = OpenFds();
  EXPECT_FALSE(Segment::Open(Fd(dup(pipe_ends[0]))).ok());
  EXPECT_FALSE(Segment::Open(Fd(dup(sockets[0]))).ok());
  EXPECT_FALSE(Segment::Open(Fd(eventfd(0, 0))).ok());
  EXPECT_FALSE(Segment::Open(Fd(open("/", O_RDONLY | O_DIRECTORY))).ok());
  EXPECT_FALSE(Segment::Open(Fd(open("/dev/zero", O_RDWR))).ok());
  EXPECT_FALSE(Segment::Open(Fd(open("/proc/self/exe", O_RDONLY))).ok());
  EXPECT_FALSE(Segment::Open(Fd()).ok());
  EXPECT_EQ(OpenFds(), before);  // each was closed
  for (const int fd : {pipe_ends[0], pipe_ends[1], sockets[0], sockets[1]}) close(fd);
}

TEST(DoorbellTest, RingsUntilSilenced) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok());
  absl::StatusOr<Ringer> ringer = Ringer::Open(Fd(dup(bell->ringer_fd())));
  ASSERT_TRUE(ringer.ok()) << ringer.status();
  char byte;
  EXPECT_LT(read(bell->fd(), &byte, 1), 0);
  for (int i = 0; i < 1000; ++i) ringer->Ring();
  bell->Silence();
  EXPECT_LT(read(bell->fd(), &byte, 1), 0);
  ringer->Ring();
  EXPECT_EQ(read(bell->fd(), &byte, 1), 1);
}

TEST(DoorbellTest, APeerCannotMakeARingBlock) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok());
  absl::StatusOr<Ringer> ringer = Ringer::Open(Fd(dup(bell->ringer_fd())));
  ASSERT_TRUE(ringer.ok());
  // What a hostile sleeper does with the end that it kept: makes it blocking, and fills the pipe.
  ASSERT_EQ(fcntl(bell->ringer_fd(), F_SETFL, O_NONBLOCK), 0);
  char junk[4096] = {};
  while (write(bell->ringer_fd(), junk, sizeof junk) > 0) {
  }
  ASSERT_EQ(fcntl(bell->ringer_fd(), F_SETFL, 0), 0);
  ringer->Ring();  // returns
}

TEST(DoorbellTest, OutlivesItsSleeper) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok());
  absl::StatusOr<Ringer> ringer = Ringer::Open(Fd(dup(bell->ringer_fd())));
  ASSERT_TRUE(ringer.ok());
  { const Doorbell gone = *std::move(bell); }
  ringer->Ring();  // and no SIGPIPE
}

TEST(DoorbellTest, TakesNothingButAPipe) {
  const std::string fifo = absl::StrCat("/tmp/nearcall-fifo-", getpid());
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const int before = OpenFds();
  EXPECT_FALSE(Ringer::Open(Fd(eventfd(0, 0))).ok());
  EXPECT_FALSE(Ringer::Open(Fd(open("/", O_RDONLY | O_DIRECTORY))).ok());
  EXPECT_FALSE(Ringer::Open(Fd(open("/dev/null", O_WRONLY))).ok());
  EXPECT_FALSE(Ringer::Open(Fd(open(fifo.c_str(), O_RDWR | O_NONBLOCK))).ok());  // has a file system behind it
  EXPECT_FALSE(Ringer::Open(Memfd(4096, 0)).ok());
  EXPECT_FALSE(Ringer::Open(Fd()).ok());
  EXPECT_EQ(OpenFds(), before);
  unlink(fifo.c_str());
}

}  // namespace
}  // namespace nearcall
