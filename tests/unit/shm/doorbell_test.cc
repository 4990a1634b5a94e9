#include "runtime/transports/shm/doorbell.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace nearcall {
namespace {

bool Rings(const Doorbell& bell) {
  pollfd fd{bell.fd(), POLLIN, 0};
  return poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN) != 0;
}

Fd DupOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

TEST(DoorbellTest, IsHeardUntilItIsSilenced) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok()) << bell.status();
  absl::StatusOr<Ringer> ringer = Ringer::Open(bell->TakeRinger());
  ASSERT_TRUE(ringer.ok()) << ringer.status();
  EXPECT_FALSE(Rings(*bell));
  for (int i = 0; i < 3; ++i) {
    ringer->Ring();
    EXPECT_TRUE(Rings(*bell));
    EXPECT_TRUE(Rings(*bell));
    bell->Silence();
    EXPECT_FALSE(Rings(*bell));
  }
  for (int i = 0; i < 1000; ++i) ringer->Ring();
  bell->Silence();
  EXPECT_FALSE(Rings(*bell));
  bell->Silence();  // nothing to silence: does not block
}

TEST(DoorbellTest, ThatIsFullDoesNotBlockTheRinger) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok());
  absl::StatusOr<Ringer> ringer = Ringer::Open(DupOf(bell->ringer_fd()));
  ASSERT_TRUE(ringer.ok());
  for (int i = 0; i < 200'000; ++i) ringer->Ring();  // a pipe holds 64 KiB
  EXPECT_TRUE(Rings(*bell));
}

// The peer shares the open file, and could make it blocking; not the ringer's own.
TEST(DoorbellTest, ThatAPeerHasMadeBlockingDoesNotBlockTheRinger) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok());
  absl::StatusOr<Ringer> ringer = Ringer::Open(DupOf(bell->ringer_fd()));
  ASSERT_TRUE(ringer.ok());
  ASSERT_EQ(fcntl(bell->ringer_fd(), F_SETFL, 0), 0);
  ASSERT_EQ(fcntl(bell->fd(), F_SETFL, 0), 0);
  for (int i = 0; i < 200'000; ++i) ringer->Ring();
  EXPECT_TRUE(Rings(*bell));
}

TEST(DoorbellTest, WhoseSleeperIsGoneNeedsNoRing) {
  absl::StatusOr<Doorbell> bell = Doorbell::Create();
  ASSERT_TRUE(bell.ok());
  absl::StatusOr<Ringer> ringer = Ringer::Open(bell->TakeRinger());
  ASSERT_TRUE(ringer.ok());
  { const Doorbell gone = *std::move(bell); }
  ringer->Ring();  // no SIGPIPE
}

TEST(DoorbellTest, IsAPipe) {
  std::vector<std::pair<std::string, Fd>> fds;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  fds.emplace_back("a socket", Fd(ends[0]));
  fds.emplace_back("its peer", Fd(ends[1]));
  fds.emplace_back("an eventfd", Fd(eventfd(0, EFD_CLOEXEC)));
  fds.emplace_back("/dev/null", Fd(open("/dev/null", O_RDWR | O_CLOEXEC)));
  fds.emplace_back("a directory", Fd(open("/tmp", O_RDONLY | O_CLOEXEC)));
  char directory[] = "/tmp/nearcall.XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const std::string fifo = std::string(directory) + "/pipe:[1]";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  fds.emplace_back("a named pipe", Fd(open(fifo.c_str(), O_RDWR | O_CLOEXEC)));
  for (auto& [what, fd] : fds) {
    const absl::StatusOr<Ringer> ringer = Ringer::Open(std::move(fd));
    EXPECT_EQ(ringer.status().code(), absl::StatusCode::kInvalidArgument) << what << ": " << ringer.status();
  }
  EXPECT_FALSE(Ringer::Open(Fd()).ok());
  unlink(fifo.c_str());
  rmdir(directory);
}

}  // namespace
}  // namespace nearcall
