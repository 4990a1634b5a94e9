// From names to paths, and whose directory a bare name may live in.

#include "runtime/rendezvous/socket_path.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/rendezvous/socket_file.h"
#include "runtime/rendezvous/unix_address.h"
#include "tests/unit/rendezvous/fixture.h"

namespace nearcall {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SocketPathTest : public RendezvousTest {
 protected:
  void SetUp() override {
    RendezvousTest::SetUp();
    setenv("XDG_RUNTIME_DIR", directory().c_str(), 1);
  }
  void TearDown() override {
    unsetenv("XDG_RUNTIME_DIR");
    RendezvousTest::TearDown();
  }
  std::string names() const { return PathOf("nearcall"); }
};

std::string MessageFor(absl::string_view name) {
  absl::StatusOr<std::string> path = SocketPathFor(name);
  EXPECT_TRUE(absl::IsInvalidArgument(path.status())) << path.status();
  return std::string(path.status().message());
}

TEST_F(SocketPathTest, ABareNameLivesInTheRuntimeDirectory) {
  EXPECT_EQ(SocketPathFor("greeter").value(), names() + "/greeter.sock");
  EXPECT_EQ(SocketPathFor("..hidden").value(), names() + "/..hidden.sock");
  EXPECT_EQ(SocketPathFor("with space:and-colon").value(), names() + "/with space:and-colon.sock");
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(SocketPathTest, WithoutARuntimeDirectoryOfOursItLivesInTmp) {
  const std::string expected = absl::StrCat("/tmp/nearcall-", geteuid(), "/greeter.sock");
  unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(SocketPathFor("greeter").value(), expected);
  WriteFile(PathOf("file"), "");
  for (const std::string& runtime : {std::string(), std::string("relative/dir"), PathOf("missing"), PathOf("file")}) {
    setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
    EXPECT_EQ(SocketPathFor("greeter").value(), expected) << runtime;
  }
}

TEST_F(SocketPathTest, AnotherUsersRuntimeDirectoryIsIgnored) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  ASSERT_EQ(chown(directory().c_str(), kNobody, kNobody), 0);
  EXPECT_EQ(SocketPathFor("greeter").value(), absl::StrCat("/tmp/nearcall-", geteuid(), "/greeter.sock"));
}

TEST_F(SocketPathTest, ANameWithASlashIsAPath) {
  EXPECT_EQ(SocketPathFor("/run/x.sock").value(), "/run/x.sock");
  EXPECT_EQ(SocketPathFor("./x").value(), "./x");
  EXPECT_EQ(SocketPathFor("a/b").value(), "a/b");
  EXPECT_EQ(PathToListenOn("/no/such/x.sock").value(), "/no/such/x.sock");
  EXPECT_EQ(PathToConnectTo("/no/such/x.sock").value(), "/no/such/x.sock");
}

TEST_F(SocketPathTest, RefusesWhatCannotBeAName) {
  EXPECT_THAT(MessageFor(""), HasSubstr("is empty"));
  EXPECT_THAT(MessageFor("."), HasSubstr("\".\""));
  EXPECT_THAT(MessageFor(".."), HasSubstr("\"..\""));
  EXPECT_THAT(MessageFor(absl::string_view("a\0b", 3)), HasSubstr("\"a\\000b\" has a control character"));
  EXPECT_THAT(MessageFor("a\nb"), HasSubstr("\"a\\nb\" has a control character"));
  EXPECT_THAT(MessageFor("a\x7f"), HasSubstr("control character"));
  EXPECT_THAT(MessageFor(absl::string_view("/a\0b", 4)), HasSubstr("/a\\000b has a NUL"));
  for (const char* directory : {"/", "/run/", "/run/.", "/run/..", "./", "../"}) {
    EXPECT_THAT(MessageFor(directory), HasSubstr(absl::StrCat(directory, " names a directory")));
  }
}

TEST_F(SocketPathTest, SaysHowLongAPathMayBe) {
  EXPECT_TRUE(SocketPathFor("/" + std::string(106, 'x')).ok());
  const std::string path = "/" + std::string(107, 'x');
  const std::string message = MessageFor(path);
  EXPECT_THAT(message, HasSubstr(path + " is 108 bytes long"));
  EXPECT_THAT(message, HasSubstr("107"));
  EXPECT_THAT(message, HasSubstr("use a shorter name"));
  EXPECT_THAT(MessageFor(std::string(107, 'x')), HasSubstr(names() + "/xxx"));
}

TEST_F(SocketPathTest, AbstractNames) {
  EXPECT_EQ(AbstractAddress("x")->size, sizeof(sa_family_t) + 2);
  EXPECT_TRUE(AbstractAddress(std::string(107, 'x')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(AbstractAddress(std::string(108, 'x')).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AbstractAddress("").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(AbstractAddress(absl::string_view("a\0b", 3)).status()));
}

TEST_F(SocketPathTest, AServerMakesThePrivateDirectory) {
  EXPECT_TRUE(absl::IsUnavailable(PathToConnectTo("greeter").status()));
  EXPECT_THAT(std::string(PathToConnectTo("greeter").status().message()),
              HasSubstr("no server is listening on " + names() + "/greeter.sock"));
  for (int time = 0; time < 2; ++time) {
    EXPECT_EQ(PathToListenOn("greeter").value(), names() + "/greeter.sock");
    EXPECT_EQ(ModeOf(names()), 0700u);
  }
  EXPECT_EQ(PathToConnectTo("greeter").value(), names() + "/greeter.sock");
}

TEST_F(SocketPathTest, ADirectoryThatOthersMayEnterIsRefused) {
  ASSERT_EQ(mkdir(names().c_str(), 0700), 0);
  for (const mode_t mode : {0701, 0710, 0720, 0704, 0755, 0777, 01777}) {
    ASSERT_EQ(chmod(names().c_str(), mode), 0);
    absl::Status status = PathToListenOn("greeter").status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << std::oct << mode << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(names()));
    // Clients mind only who may write.
    status = PathToConnectTo("greeter").status();
    EXPECT_EQ(absl::IsPermissionDenied(status), (mode & 022) != 0) << std::oct << mode << status;
  }
}

TEST_F(SocketPathTest, AnotherUsersDirectoryIsRefused) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  ASSERT_EQ(mkdir(names().c_str(), 0700), 0);
  ASSERT_EQ(chown(names().c_str(), kNobody, kNobody), 0);
  for (const absl::Status& status : {PathToListenOn("greeter").status(), PathToConnectTo("greeter").status()}) {
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(names() + " belongs to user 65534"));
  }
}

TEST_F(SocketPathTest, ClientsTrustRootsDirectory) {
  if (!MayPlayUsers()) GTEST_SKIP() << "may not change users";
  ASSERT_EQ(mkdir(names().c_str(), 0755), 0);
  ASSERT_EQ(chown(directory().c_str(), kNobody, kNobody),
            0);  // nobody's runtime directory, with root's "nearcall" in it
  EXPECT_EQ(AsNobody([&] {
              if (!PathToConnectTo("greeter").ok()) return 1;
              return absl::IsPermissionDenied(PathToListenOn("greeter").status()) ? 0 : 2;
            }),
            0);
}

TEST_F(SocketPathTest, ALinkOrFileInsteadOfTheDirectoryIsRefused) {
  ASSERT_EQ(mkdir(PathOf("real").c_str(), 0700), 0);
  for (const char* target : {"real", "missing"}) {
    ASSERT_EQ(symlink(target, names().c_str()), 0);
    for (const absl::Status& status : {PathToListenOn("greeter").status(), PathToConnectTo("greeter").status()}) {
      EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
      EXPECT_THAT(std::string(status.message()), HasSubstr(names() + " is a link or not a directory"));
    }
    ASSERT_EQ(unlink(names().c_str()), 0);
  }
  WriteFile(names(), "mine");
  EXPECT_TRUE(absl::IsPermissionDenied(PathToListenOn("greeter").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(PathToConnectTo("greeter").status()));
  EXPECT_EQ(ReadFile(names()), "mine");
  EXPECT_THAT(Files(), ::testing::ElementsAre("nearcall", "real"));
}

TEST_F(SocketPathTest, FromNameToConnection) {
  absl::StatusOr<SocketFile> server = SocketFile::Bind(PathToListenOn("greeter").value());
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(Reaches(PathToConnectTo("greeter").value(), *server));
}

}  // namespace
}  // namespace nearcall
