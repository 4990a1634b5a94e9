// One server and what it finds at its path.

#include "runtime/rendezvous/socket_file.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/rendezvous/connect.h"
#include "runtime/rendezvous/unix_address.h"
#include "tests/unit/rendezvous/fixture.h"

namespace nearcall {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SocketFileTest : public RendezvousTest {
 protected:
  // Expects that nothing can be bound at `name`, and that the refusal names it.
  void ExpectRefusal(const std::string& name, absl::StatusCode code, const std::string& text) {
    absl::Status status = SocketFile::Bind(PathOf(name)).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(PathOf(name)));
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
};

// A listening socket of a program that knows nothing of us.
Fd ForeignServer(const std::string& path, int type = SOCK_STREAM) {
  const UnixAddress address = PathAddress(path).value();
  Fd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(fd.get(), address.get(), address.size), 0);
  if (type == SOCK_STREAM) {
    EXPECT_EQ(listen(fd.get(), 0), 0);
  }
  return fd;
}

// A process that listens at `path` until it is killed.
pid_t StartServerProcess(const std::string& path) {
  int ready[2];
  EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
  const pid_t pid = ForkMortal();
  if (pid == 0) {
    absl::StatusOr<SocketFile> server = SocketFile::Bind(path);
    if (!server.ok() || write(ready[1], "r", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  return pid;
}

void KillAndWait(pid_t pid) {
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
}

TEST_F(SocketFileTest, ListensAndCleansUp) {
  {
    absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_EQ(server->path(), PathOf("s"));
    EXPECT_TRUE(fcntl(server->fd(), F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(Reaches(PathOf("s"), *server));
    EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
    EXPECT_EQ(ModeOf(PathOf("s")), 0600u);
    EXPECT_EQ(ModeOf(PathOf("s.lock")), 0600u);
    server->Close();
    EXPECT_EQ(server->fd(), -1);
    EXPECT_THAT(Files(), IsEmpty());
    server->Close();
  }
  EXPECT_TRUE(SocketFile::Bind(PathOf("s")).ok());
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, TheUmaskDoesNotMatter) {
  for (const mode_t mask : {0, 022, 077, 0177, 0777}) {
    const mode_t old = umask(mask);
    absl::StatusOr<SocketFile> closed = SocketFile::Bind(PathOf("closed"));
    absl::StatusOr<SocketFile> open = SocketFile::Bind(PathOf("open"), {.allow_other_users = true});
    umask(old);
    ASSERT_TRUE(closed.ok()) << closed.status();
    ASSERT_TRUE(open.ok()) << open.status();
    EXPECT_EQ(ModeOf(PathOf("closed")), 0600u) << std::oct << mask;
    EXPECT_EQ(ModeOf(PathOf("open")), 0666u) << std::oct << mask;
  }
}

TEST_F(SocketFileTest, Moves) {
  absl::StatusOr<SocketFile> first = SocketFile::Bind(PathOf("first"));
  absl::StatusOr<SocketFile> second = SocketFile::Bind(PathOf("second"));
  ASSERT_TRUE(first.ok() && second.ok());
  SocketFile server;
  EXPECT_EQ(server.fd(), -1);
  server = *std::move(first);
  EXPECT_TRUE(Reaches(PathOf("first"), server));
  server = *std::move(second);
  EXPECT_THAT(Files(), ElementsAre("second", "second.lock"));
  SocketFile moved(std::move(server));
  EXPECT_TRUE(Reaches(PathOf("second"), moved));
  moved = SocketFile();
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, FindsItsFilesAfterChdir) {
  EXPECT_EQ(InChild([&] {
              if (chdir(directory().c_str()) != 0) return 1;
              absl::StatusOr<SocketFile> server = SocketFile::Bind("./s");
              absl::StatusOr<SocketFile> bare = SocketFile::Bind("t");
              if (!server.ok() || !bare.ok() || chdir("/") != 0) return 2;
              return Reaches(PathOf("s"), *server) && Reaches(PathOf("t"), *bare) ? (server->Close(), bare->Close(), 0)
                                                                                  : 3;
            }),
            0);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, TheLongestPathsWork) {
  // From where PATH.new still fits to where even PATH only just does.
  for (size_t length = kMaxSocketPath - 5; length <= kMaxSocketPath; ++length) {
    // Both a long name in a short directory and a short name in a long one.
    const std::string deep = PathOf(std::string(length - directory().size() - 3, 'd'));
    ASSERT_EQ(mkdir(deep.c_str(), 0700), 0);
    for (const std::string& path : {PathOf(std::string(length - directory().size() - 1, 'n')), deep + "/s"}) {
      ASSERT_EQ(path.size(), length);
      LeaveStaleSocket(path);
      absl::StatusOr<SocketFile> server = SocketFile::Bind(path);
      ASSERT_TRUE(server.ok()) << server.status();
      EXPECT_TRUE(Reaches(path, *server));
      EXPECT_TRUE(absl::IsAlreadyExists(SocketFile::Bind(path).status()));
    }
    ASSERT_EQ(rmdir(deep.c_str()), 0) << "files are left";
    EXPECT_THAT(Files(), IsEmpty());
  }
  EXPECT_TRUE(absl::IsInvalidArgument(SocketFile::Bind(PathOf(std::string(107, 'x'))).status()));
}

TEST_F(SocketFileTest, RefusesPathsThatNoSocketCanHave) {
  EXPECT_TRUE(absl::IsInvalidArgument(SocketFile::Bind("").status()));
  ASSERT_EQ(mkdir(PathOf("d").c_str(), 0700), 0);
  ExpectRefusal("d/", absl::StatusCode::kInvalidArgument, "names a directory");
  ExpectRefusal("d/.", absl::StatusCode::kInvalidArgument, "names a directory");
  ExpectRefusal("d", absl::StatusCode::kFailedPrecondition, "not a socket");
  EXPECT_THAT(Files(), ElementsAre("d"));
}

TEST_F(SocketFileTest, TheDirectoryMustBeOne) {
  ExpectRefusal("missing/s", absl::StatusCode::kNotFound, PathOf("missing") + " does not exist");
  WriteFile(PathOf("file"), "mine");
  ExpectRefusal("file/s", absl::StatusCode::kFailedPrecondition, PathOf("file"));
  ExpectRefusal("file/d/s", absl::StatusCode::kFailedPrecondition, PathOf("file/d"));
  EXPECT_THAT(Files(), ElementsAre("file"));
}

TEST_F(SocketFileTest, ADirectoryThatMayNotBeWrittenTo) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  EXPECT_EQ(AsNobody([&] {
              absl::Status status = SocketFile::Bind(PathOf("s")).status();
              return absl::IsPermissionDenied(status) && absl::StrContains(status.message(), PathOf("s")) ? 0 : 1;
            }),
            0);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, AReadOnlyFileSystem) {
  constexpr int kMayNotMount = 77;
  const int result = InChild([&] {
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", directory().c_str(), "tmpfs", MS_RDONLY, nullptr) != 0) {
      return kMayNotMount;
    }
    absl::Status status = SocketFile::Bind(PathOf("s")).status();
    return absl::IsFailedPrecondition(status) && absl::StrContains(status.message(), "read-only") ? 0 : 1;
  });
  if (result == kMayNotMount) GTEST_SKIP() << "may not mount";
  EXPECT_EQ(result, 0);
}

TEST_F(SocketFileTest, TakesOverAStaleSocket) {
  LeaveStaleSocket(PathOf("s"));
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Reaches(PathOf("s"), *server));
}

TEST_F(SocketFileTest, TakesOverFromAKilledServer) {
  const pid_t pid = StartServerProcess(PathOf("s"));
  ExpectRefusal("s", absl::StatusCode::kAlreadyExists, "a server is listening on");
  KillAndWait(pid);
  EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
  EXPECT_TRUE(absl::IsUnavailable(ConnectUnix(PathOf("s"), kNever).status()));
  {
    absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_TRUE(Reaches(PathOf("s"), *server));
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, RemovesWhatAServerLeftThatWasKilledWhileItStarted) {
  WriteFile(PathOf("s.lock"), "");
  LeaveStaleSocket(PathOf("s.new"));
  {
    absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
    ASSERT_TRUE(server.ok()) << server.status();
    EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, OneProcessBindsAPathOnce) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(server.ok()) << server.status();
  ExpectRefusal("s", absl::StatusCode::kAlreadyExists, "a server is listening on");
  EXPECT_TRUE(Reaches(PathOf("s"), *server));
  EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
}

TEST_F(SocketFileTest, LeavesOtherProgramsServersAlone) {
  Fd stream = ForeignServer(PathOf("stream"));
  Fd datagrams = ForeignServer(PathOf("datagrams"), SOCK_DGRAM);
  Fd new_one = ForeignServer(PathOf("s.new"));
  for (int time = 0; time < 3; ++time) {  // the queue of one is full soon
    ExpectRefusal("stream", absl::StatusCode::kAlreadyExists, "a server is listening on");
    ExpectRefusal("datagrams", absl::StatusCode::kAlreadyExists, "another type");
    ExpectRefusal("s", absl::StatusCode::kAlreadyExists, ".new");
  }
  EXPECT_THAT(Files(), ElementsAre("datagrams", "s.new", "stream"));
}

TEST_F(SocketFileTest, ALostLockFileDoesNotCostTheSocket) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_EQ(unlink(PathOf("s.lock").c_str()), 0);
  ExpectRefusal("s", absl::StatusCode::kAlreadyExists, "a server is listening on");
  EXPECT_THAT(Files(), ElementsAre("s"));
  EXPECT_TRUE(absl::IsUnavailable(ConnectUnix(PathOf("none"), kNever).status()));
}

TEST_F(SocketFileTest, RemovesOnlyItsOwnFiles) {
  absl::StatusOr<SocketFile> first = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(first.ok()) << first.status();
  // Somebody clears the directory, and starts a second server.
  ASSERT_EQ(unlink(PathOf("s").c_str()), 0);
  ASSERT_EQ(unlink(PathOf("s.lock").c_str()), 0);
  absl::StatusOr<SocketFile> second = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(second.ok()) << second.status();
  first->Close();
  EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
  EXPECT_TRUE(Reaches(PathOf("s"), *second));
  // And a regular file instead of the socket.
  ASSERT_EQ(unlink(PathOf("s").c_str()), 0);
  WriteFile(PathOf("s"), "mine");
  second->Close();
  EXPECT_THAT(Files(), ElementsAre("s"));
  EXPECT_EQ(ReadFile(PathOf("s")), "mine");
}

TEST_F(SocketFileTest, WhatIsNoSocketIsRefusedAndLeft) {
  Fd target = ForeignServer(PathOf("target"));
  WriteFile(PathOf("file"), "mine");
  ASSERT_EQ(mkfifo(PathOf("fifo").c_str(), 0600), 0);
  ASSERT_EQ(symlink("file", PathOf("link").c_str()), 0);
  ASSERT_EQ(symlink("target", PathOf("link-to-socket").c_str()), 0);
  ASSERT_EQ(symlink("missing", PathOf("link-to-nothing").c_str()), 0);
  const std::vector<std::string> before = Files();
  for (const char* name : {"file", "fifo", "link", "link-to-socket", "link-to-nothing"}) {
    ExpectRefusal(name, absl::StatusCode::kFailedPrecondition, "not a socket");
  }
  EXPECT_EQ(Files(), before);
  EXPECT_EQ(ReadFile(PathOf("file")), "mine");
}

TEST_F(SocketFileTest, WhatIsNoLockIsRefusedAndLeft) {
  WriteFile(PathOf("file"), "mine");
  ASSERT_EQ(symlink("file", PathOf("a.lock").c_str()), 0);
  ASSERT_EQ(symlink("missing", PathOf("b.lock").c_str()), 0);
  ASSERT_EQ(mkfifo(PathOf("c.lock").c_str(), 0600), 0);
  ASSERT_EQ(mkdir(PathOf("d.lock").c_str(), 0700), 0);
  LeaveStaleSocket(PathOf("e.lock"));
  const std::vector<std::string> before = Files();
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    ExpectRefusal(name, absl::StatusCode::kFailedPrecondition, PathOf(name) + ".lock");
  }
  EXPECT_EQ(Files(), before);
  EXPECT_EQ(ReadFile(PathOf("file")), "mine");
}

TEST_F(SocketFileTest, WhatIsInTheWayOfTheTemporaryNameIsLeft) {
  WriteFile(PathOf("a.new"), "mine");
  WriteFile(PathOf("file"), "mine");
  ASSERT_EQ(symlink("file", PathOf("b.new").c_str()), 0);
  ExpectRefusal("a", absl::StatusCode::kFailedPrecondition, "a.new");
  ExpectRefusal("b", absl::StatusCode::kFailedPrecondition, "b.new");
  EXPECT_THAT(Files(), ElementsAre("a.new", "b.new", "file"));
  EXPECT_EQ(ReadFile(PathOf("a.new")), "mine");
}

TEST_F(SocketFileTest, AnotherUsersFilesInASharedDirectory) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  ASSERT_EQ(chmod(directory().c_str(), 01777), 0);  // as /tmp is
  LeaveStaleSocket(PathOf("stale"));
  WriteFile(PathOf("open.lock"), "");
  ASSERT_EQ(chmod(PathOf("open.lock").c_str(), 0666), 0);
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"), {.allow_other_users = true});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_EQ(AsNobody([&] {
              if (!absl::IsPermissionDenied(SocketFile::Bind(PathOf("stale")).status())) return 1;
              if (!absl::IsPermissionDenied(SocketFile::Bind(PathOf("open")).status())) return 2;
              if (!absl::IsPermissionDenied(SocketFile::Bind(PathOf("s")).status())) return 3;
              return SocketFile::Bind(PathOf("mine")).ok() ? 0 : 4;
            }),
            0);
  EXPECT_THAT(Files(), ElementsAre("open.lock", "s", "s.lock", "stale"));
  EXPECT_TRUE(Reaches(PathOf("s"), *server));
  // Root may take over what another user's server left.
  ASSERT_EQ(lchown(PathOf("stale").c_str(), kNobody, kNobody), 0);
  WriteFile(PathOf("stale.lock"), "");
  ASSERT_EQ(chown(PathOf("stale.lock").c_str(), kNobody, kNobody), 0);
  EXPECT_TRUE(SocketFile::Bind(PathOf("stale")).ok());
}

TEST_F(SocketFileTest, AForkedChildRemovesNothing) {
  std::optional<SocketFile> server = SocketFile::Bind(PathOf("s")).value();
  EXPECT_EQ(InChild([&] {
              server.reset();
              return 0;
            }),
            0);
  EXPECT_THAT(Files(), ElementsAre("s", "s.lock"));
  EXPECT_TRUE(Reaches(PathOf("s"), *server));
  ExpectRefusal("s", absl::StatusCode::kAlreadyExists, "a server is listening on");
}

TEST_F(SocketFileTest, AForkedChildDoesNotKeepThePathAfterClose) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(server.ok()) << server.status();
  const pid_t child = ForkMortal();
  if (child == 0) {
    for (;;) pause();
  }
  server->Close();
  EXPECT_TRUE(SocketFile::Bind(PathOf("s")).ok());
  KillAndWait(child);
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketFileTest, ExecClosesAll) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(server.ok()) << server.status();
  for (int fd = 3; fd < 1000; ++fd) {
    const int flags = fcntl(fd, F_GETFD);
    char link[64], target[256] = {};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (flags < 0 || readlink(link, target, sizeof target - 1) < 0) continue;
    if (absl::StrContains(target, directory()) || fd == server->fd()) {
      EXPECT_TRUE(flags & FD_CLOEXEC) << target;
    }
  }
}

TEST_F(SocketFileTest, RunsOutOfDescriptorsAtEveryStep) {
  // Each further descriptor that Bind may have takes it one step further.
  for (int spare = 0;; ++spare) {
    std::vector<Fd> taken;
    for (;;) {
      Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (!fd.valid() || fd.get() >= 100) break;
      taken.push_back(std::move(fd));
    }
    for (int i = 0; i < spare; ++i) taken.pop_back();
    rlimit old, low;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = {100, old.rlim_max};
    LeaveStaleSocket(PathOf("s"));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    if (server.ok()) {
      EXPECT_TRUE(Reaches(PathOf("s"), *server));
      EXPECT_GE(spare, 3);
      break;
    }
    EXPECT_TRUE(absl::IsResourceExhausted(server.status())) << server.status();
    EXPECT_THAT(Files(), ::testing::AnyOf(ElementsAre("s"), IsEmpty()));
    unlink(PathOf("s").c_str());
    ASSERT_LT(spare, 20);
  }
}

}  // namespace
}  // namespace nearcall
