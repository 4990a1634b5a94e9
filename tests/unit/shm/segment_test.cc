#include "runtime/transports/shm/segment.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/resources.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace nearcall {
namespace {

constexpr size_t kRing = Segment::kMinRing;
constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;

class SegmentTest : public ::testing::Test {
 protected:
  void TearDown() override {
    const testing::Resources now = testing::Resources::Of(getpid());
    EXPECT_EQ(now.fds.size(), before_.fds.size()) << now.ToString();
    EXPECT_EQ(now.mappings, before_.mappings);
  }
  testing::Resources before_ = testing::Resources::Of(getpid());
};

// A memfd with the given size and seals.
Fd Memfd(off_t size, int seals) {
  Fd fd(memfd_create("nearcall-test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(fd.get(), size), 0);
  if (seals != 0) {
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  }
  return fd;
}

Fd DupOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

TEST_F(SegmentTest, IsWritableForItsOwnerAlone) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok()) << own.status();
  const int fd = own->fd();
  EXPECT_EQ(fcntl(fd, F_GET_SEALS) & kAllSeals, kAllSeals);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  // Nothing that a holder of the descriptor does may change what is in it, or make it shorter.
  EXPECT_NE(ftruncate(fd, 0), 0);
  EXPECT_NE(ftruncate(fd, 1 << 20), 0);
  EXPECT_NE(pwrite(fd, "x", 1, 0), 1);
  EXPECT_NE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  void* const readable = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(readable, MAP_FAILED);
  EXPECT_NE(mprotect(readable, 4096, PROT_READ | PROT_WRITE), 0);
  munmap(readable, 4096);
  EXPECT_NE(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST_F(SegmentTest, ShowsItsOwnersBytesToThePeer) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok()) << own.status();
  absl::StatusOr<Segment> peer = Segment::Open(DupOf(own->fd()));
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->ring_size(), kRing);
  own->control()->read_position.store(0x123456789abcdef0);
  EXPECT_EQ(peer->control()->read_position.load(), 0x123456789abcdef0u);
  for (size_t i = 0; i < kRing; ++i) own->ring()[i] = static_cast<uint8_t>(i * 31);
  for (size_t i = 0; i < 2 * kRing; ++i) ASSERT_EQ(peer->ring()[i], static_cast<uint8_t>((i % kRing) * 31)) << i;
}

// What is written across the end lies at the beginning, too.
TEST_F(SegmentTest, IsContiguousAcrossItsEnd) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok()) << own.status();
  std::memcpy(own->ring() + kRing - 4, "abcdefgh", 8);
  EXPECT_EQ(std::memcmp(own->ring(), "efgh", 4), 0);
  EXPECT_EQ(std::memcmp(own->ring() + kRing, "efgh", 4), 0);
}

TEST_F(SegmentTest, MovesWithItsMapping) {
  absl::StatusOr<Segment> own = Segment::Create(kRing);
  ASSERT_TRUE(own.ok());
  uint8_t* const ring = own->ring();
  Segment moved = *std::move(own);
  EXPECT_EQ(moved.ring(), ring);
  Fd fd = moved.TakeFd();
  moved.ring()[0] = 1;  // the mapping outlives the descriptor
  fd.reset();
  moved.ring()[0] = 2;
}

TEST_F(SegmentTest, NeedsEverySeal) {
  for (int bits = 0; bits < 32; ++bits) {
    const int seals = ((bits & 1) ? F_SEAL_SEAL : 0) | ((bits & 2) ? F_SEAL_SHRINK : 0) |
                      ((bits & 4) ? F_SEAL_GROW : 0) | ((bits & 8) ? F_SEAL_WRITE : 0) |
                      ((bits & 16) ? F_SEAL_FUTURE_WRITE : 0);
    const absl::StatusOr<Segment> segment = Segment::Open(Memfd(Segment::kControlSize + kRing, seals));
    if ((seals & kAllSeals) != kAllSeals) {
      EXPECT_EQ(segment.status().code(), absl::StatusCode::kInvalidArgument) << "seals " << seals;
    } else if ((seals & F_SEAL_WRITE) == 0) {
      EXPECT_TRUE(segment.ok()) << "seals " << seals << ": " << segment.status();
    }  // with F_SEAL_WRITE as well it is as safe as can be, and of no use to its owner: either way will do
  }
}

TEST_F(SegmentTest, NeedsAProperSize) {
  const auto control = static_cast<int64_t>(Segment::kControlSize);
  const auto ring = static_cast<int64_t>(kRing);
  for (const int64_t size :
       {int64_t{0}, int64_t{1}, control - 1, control, control + 1, control + ring / 2, control + ring - 1,
        control + ring + 1, control + ring + control, ring, 2 * ring, control + int64_t{Segment::kMaxRing} * 2,
        int64_t{1} << 40, int64_t{1} << 62, control + ring + int64_t{Segment::kMaxBulk} + 2 * ring}) {
    const absl::StatusOr<Segment> segment = Segment::Open(Memfd(size, kAllSeals));
    EXPECT_EQ(segment.status().code(), absl::StatusCode::kInvalidArgument) << "size " << size;
  }
  for (size_t size = Segment::kMinRing; size <= Segment::kMaxRing; size *= 2) {
    const absl::StatusOr<Segment> segment =
        Segment::Open(Memfd(static_cast<off_t>(Segment::kControlSize + size), kAllSeals));
    EXPECT_TRUE(segment.ok()) << size << ": " << segment.status();
  }
}

TEST_F(SegmentTest, TellsRingAndBulkApartByTheirSize) {
  for (const size_t bulk : {size_t{0}, 2 * kRing, 4 * kRing, 36 * kRing, size_t{Segment::kMaxBulk}}) {
    absl::StatusOr<Segment> own = Segment::Create(kRing, bulk);
    ASSERT_TRUE(own.ok()) << own.status();
    absl::StatusOr<Segment> peer = Segment::Open(DupOf(own->fd()));
    ASSERT_TRUE(peer.ok()) << peer.status();
    EXPECT_EQ(peer->ring_size(), kRing);
    EXPECT_EQ(peer->bulk_size(), bulk);
    if (bulk == 0) continue;
    ASSERT_TRUE(own->Populate(0, kRing));
    own->ring()[0] = 1;
    own->ring()[kRing] = 1;  // the same byte
    for (size_t i = 0; i < kRing; ++i) own->bulk()[i] = static_cast<uint8_t>(i * 7);
    ASSERT_TRUE(peer->Populate(0, kRing));
    for (size_t i = 0; i < kRing; ++i) ASSERT_EQ(peer->bulk()[i], static_cast<uint8_t>(i * 7)) << i;
    EXPECT_EQ(peer->ring()[0], 1);
  }
}

// Memory that a descriptor's file has.
int64_t Allocated(int fd) {
  struct stat info;
  EXPECT_EQ(fstat(fd, &info), 0);
  return int64_t{info.st_blocks} * 512;
}

TEST_F(SegmentTest, BulkHasMemoryOnceItIsPopulated) {
  absl::StatusOr<Segment> own = Segment::Create(kRing, 36 * kRing);
  ASSERT_TRUE(own.ok()) << own.status();
  const auto at_first = static_cast<int64_t>(Segment::kControlSize + kRing);
  EXPECT_EQ(Allocated(own->fd()), at_first);
  EXPECT_TRUE(own->Populate(0, 5000));  // whole pages
  EXPECT_EQ(Allocated(own->fd()), at_first + 8192);
  EXPECT_TRUE(own->Populate(5000, 3 * kRing));
  EXPECT_EQ(Allocated(own->fd()), at_first + static_cast<int64_t>(3 * kRing));
  EXPECT_FALSE(own->Populate(0, 40 * kRing)) << "beyond its end";
}

TEST_F(SegmentTest, NeedsAMemfd) {
  std::vector<std::pair<std::string, Fd>> fds;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  fds.emplace_back("a pipe's reading end", Fd(ends[0]));
  fds.emplace_back("a pipe's writing end", Fd(ends[1]));
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  fds.emplace_back("a socket", Fd(ends[0]));
  fds.emplace_back("its peer", Fd(ends[1]));
  fds.emplace_back("a directory", Fd(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  fds.emplace_back("a path", Fd(open("/tmp", O_PATH | O_CLOEXEC)));
  fds.emplace_back("/dev/zero", Fd(open("/dev/zero", O_RDWR | O_CLOEXEC)));
  fds.emplace_back("/dev/null", Fd(open("/dev/null", O_RDWR | O_CLOEXEC)));
  fds.emplace_back("an eventfd", Fd(eventfd(0, EFD_CLOEXEC)));
  fds.emplace_back("an epoll set", Fd(epoll_create1(EPOLL_CLOEXEC)));
  fds.emplace_back("a timer", Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)));
  Fd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) {
    ASSERT_EQ(ftruncate(file.get(), Segment::kControlSize + kRing), 0);
    fds.emplace_back("a file", std::move(file));
  }
  Fd unsealable(memfd_create("nearcall-test", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(unsealable.get(), Segment::kControlSize + kRing), 0);
  fds.emplace_back("a memfd that cannot be sealed", std::move(unsealable));
  fds.emplace_back("nothing", Fd());
  for (auto& [what, fd] : fds) {
    const absl::StatusOr<Segment> segment = Segment::Open(std::move(fd));
    EXPECT_EQ(segment.status().code(), absl::StatusCode::kInvalidArgument) << what << ": " << segment.status();
  }
}

}  // namespace
}  // namespace nearcall
