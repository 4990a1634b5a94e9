// Connecting, with all the ways it may go wrong, and who is at the other end.

#include "runtime/rendezvous/connect.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "runtime/rendezvous/peer_credentials.h"
#include "runtime/rendezvous/socket_file.h"
#include "runtime/rendezvous/unix_address.h"
#include "tests/unit/rendezvous/fixture.h"

namespace nearcall {
namespace {

using ::testing::HasSubstr;

class ConnectTest : public RendezvousTest {
 protected:
  int64_t Soon() { return MonotonicAfter(absl::Milliseconds(50)); }
};

// A server that accepts nothing by itself, and whose queue is full.
struct BusyServer {
  explicit BusyServer(const std::string& path) {
    const UnixAddress address = PathAddress(path).value();
    listener.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(listener.get(), address.get(), address.size), 0);
    EXPECT_EQ(listen(listener.get(), 0), 0);
    for (;;) {
      Fd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      if (connect(client.get(), address.get(), address.size) != 0) break;
      waiting.push_back(std::move(client));
    }
    EXPECT_EQ(errno, EAGAIN);
  }

  Fd listener;
  std::vector<Fd> waiting;
};

TEST_F(ConnectTest, GivesANonBlockingDescriptorThatExecCloses) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"));
  ASSERT_TRUE(server.ok()) << server.status();
  absl::StatusOr<Fd> client = ConnectUnix(PathOf("s"), kNever);
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_TRUE(fcntl(client->get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(client->get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(ConnectTest, UnavailableWhereNobodyListens) {
  LeaveStaleSocket(PathOf("stale"));
  WriteFile(PathOf("file"), "");
  for (const char* name : {"missing", "stale", "file", "file/s", "missing/s"}) {
    absl::Status status = ConnectUnix(PathOf(name), Soon()).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("no server is listening on " + PathOf(name)));
  }
}

TEST_F(ConnectTest, NamesWhatIsWrongWithThePath) {
  EXPECT_TRUE(absl::IsInvalidArgument(ConnectUnix(std::string(200, 'x'), Soon()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ConnectUnix("", Soon()).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ConnectUnix(directory() + "/", Soon()).status()));
  const UnixAddress address = PathAddress(PathOf("datagrams")).value();
  Fd datagrams(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(datagrams.get(), address.get(), address.size), 0);
  absl::Status status = ConnectUnix(PathOf("datagrams"), Soon()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(PathOf("datagrams")));
}

TEST_F(ConnectTest, OnlyTheSameUserAndRootMayConnect) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  absl::StatusOr<SocketFile> closed = SocketFile::Bind(PathOf("closed"));
  absl::StatusOr<SocketFile> open = SocketFile::Bind(PathOf("open"), {.allow_other_users = true});
  ASSERT_TRUE(closed.ok() && open.ok());
  ASSERT_EQ(mkdir(PathOf("private").c_str(), 0700), 0);
  EXPECT_EQ(AsNobody([&] {
              absl::Status status = ConnectUnix(PathOf("closed"), Soon()).status();
              if (!absl::IsPermissionDenied(status)) return 1;
              if (!absl::StrContains(status.message(), PathOf("closed"))) return 2;
              if (!absl::IsPermissionDenied(ConnectUnix(PathOf("private/s"), Soon()).status())) return 3;
              return ConnectUnix(PathOf("open"), Soon()).ok() ? 0 : 4;
            }),
            0);
}

TEST_F(ConnectTest, AFullQueueIsUnavailableAtTheDeadline) {
  BusyServer server(PathOf("s"));
  rusage before, after;
  getrusage(RUSAGE_THREAD, &before);
  const int64_t start = MonotonicNanos();
  absl::Status status = ConnectUnix(PathOf("s"), start + 50'000'000).status();
  getrusage(RUSAGE_THREAD, &after);
  EXPECT_GT(after.ru_nvcsw, before.ru_nvcsw) << "it did not sleep";
  EXPECT_GE(MonotonicNanos(), start + 50'000'000);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(PathOf("s") + " accepts no connections"));
  // And at once, when the deadline has passed already.
  EXPECT_TRUE(absl::IsUnavailable(ConnectUnix(PathOf("s"), start).status()));
}

TEST_F(ConnectTest, WaitsUntilAFullQueueHasRoom) {
  BusyServer server(PathOf("s"));
  const int clients = static_cast<int>(server.waiting.size()) + 1;
  std::thread acceptor([&] {
    for (int i = 0; i < clients; ++i) {
      Fd accepted(accept4(server.listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      EXPECT_TRUE(accepted.valid());
    }
  });
  absl::StatusOr<Fd> client = ConnectUnix(PathOf("s"), kNever);
  EXPECT_TRUE(client.ok()) << client.status();
  if (client.ok()) {
    EXPECT_TRUE(fcntl(client->get(), F_GETFL) & O_NONBLOCK);
  }
  acceptor.join();
}

TEST_F(ConnectTest, NoticesThatTheBusyServerDies) {
  BusyServer server(PathOf("s"));
  std::thread killer([&] { server.listener.reset(); });
  absl::Status status = ConnectUnix(PathOf("s"), kNever).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  killer.join();
}

TEST_F(ConnectTest, SignalsDoNotChangeTheDeadline) {
  BusyServer server(PathOf("s"));
  static volatile sig_atomic_t signals = 0;
  struct sigaction action = {}, old;
  action.sa_handler = [](int) { signals = signals + 1; };  // without SA_RESTART
  ASSERT_EQ(sigaction(SIGALRM, &action, &old), 0);
  const itimerval often = {{0, 2000}, {0, 2000}}, never = {};
  setitimer(ITIMER_REAL, &often, nullptr);
  const int64_t deadline = MonotonicAfter(absl::Milliseconds(60));
  absl::Status status = ConnectUnix(PathOf("s"), deadline).status();
  const int64_t end = MonotonicNanos();
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &old, nullptr);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_GE(end, deadline);
  EXPECT_GT(signals, 0);
}

TEST_F(ConnectTest, Abstract) {
  const std::string name = absl::StrCat("nearcall-test-", getpid());
  absl::Status status = ConnectAbstract(name, Soon()).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no server is listening on unix-abstract:" + name));
  {
    absl::StatusOr<Fd> server = BindAbstract(name);
    ASSERT_TRUE(server.ok()) << server.status();
    absl::StatusOr<Fd> client = ConnectAbstract(name, Soon());
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_EQ(CredentialsOf(client->get())->pid, getpid());
    status = BindAbstract(name).status();
    EXPECT_TRUE(absl::IsAlreadyExists(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("unix-abstract:" + name));
    // Another name, although it begins alike.
    EXPECT_TRUE(absl::IsUnavailable(ConnectAbstract(name + "2", Soon()).status()));
  }
  EXPECT_TRUE(BindAbstract(name).ok());
}

TEST_F(ConnectTest, CredentialsOfBothEnds) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"), {.allow_other_users = true});
  ASSERT_TRUE(server.ok()) << server.status();
  absl::StatusOr<Fd> client = ConnectUnix(PathOf("s"), Soon());
  Fd accepted(accept4(server->fd(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted.valid());
  for (const int fd : {client->get(), accepted.get()}) {
    absl::StatusOr<PeerCredentials> credentials = CredentialsOf(fd);
    ASSERT_TRUE(credentials.ok()) << credentials.status();
    EXPECT_EQ(credentials->uid, geteuid());
    EXPECT_EQ(credentials->gid, getegid());
    EXPECT_EQ(credentials->pid, getpid());
    EXPECT_TRUE(IsSameUserOrRoot(*credentials));
  }
}

TEST_F(ConnectTest, CredentialsOfAnotherUserThatIsGone) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathOf("s"), {.allow_other_users = true});
  ASSERT_TRUE(server.ok()) << server.status();
  // Root's server is fine for nobody.
  ASSERT_EQ(AsNobody([&] {
              absl::StatusOr<Fd> client = ConnectUnix(PathOf("s"), Soon());
              return client.ok() && IsSameUserOrRoot(CredentialsOf(client->get()).value()) ? 0 : 1;
            }),
            0);
  Fd accepted(accept4(server->fd(), nullptr, nullptr, SOCK_CLOEXEC));
  absl::StatusOr<PeerCredentials> credentials = CredentialsOf(accepted.get());
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_EQ(credentials->uid, kNobody);
  EXPECT_EQ(credentials->gid, kNobody);
  EXPECT_FALSE(IsSameUserOrRoot(*credentials));
}

TEST_F(ConnectTest, NoCredentialsWithoutAUnixPeer) {
  Fd tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), lone(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int fd : {tcp.get(), lone.get(), file.get()}) {
    EXPECT_TRUE(absl::IsFailedPrecondition(CredentialsOf(fd).status())) << CredentialsOf(fd).status();
  }
  EXPECT_FALSE(CredentialsOf(-1).ok());
}

}  // namespace
}  // namespace nearcall
