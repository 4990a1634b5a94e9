#include "tests/unit/rendezvous/fixture.h"

#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "runtime/base/clock.h"
#include "runtime/rendezvous/connect.h"
#include "runtime/rendezvous/unix_address.h"

namespace nearcall {
namespace {

int ExitCodeOf(int wait_status) { return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1; }

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

void RendezvousTest::SetUp() {
  descriptors_ = CountDescriptors();
  char name[] = "/tmp/ncXXXXXX";  // TEST_TMPDIR is too long for sockets
  ASSERT_NE(mkdtemp(name), nullptr);
  directory_ = name;
  ASSERT_EQ(chmod(name, 0755), 0);
}

void RendezvousTest::TearDown() {
  std::filesystem::remove_all(directory_);
  EXPECT_EQ(CountDescriptors(), descriptors_) << "descriptors leaked";
}

std::vector<std::string> RendezvousTest::Files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

int CountDescriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

bool Reaches(const std::string& path, const SocketFile& server) {
  absl::StatusOr<Fd> client = ConnectUnix(path, MonotonicNanos());
  if (!client.ok()) return false;
  // What is in the queue when connect returns; the server's socket does not block.
  Fd accepted(accept4(server.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  char byte = 'x';
  return accepted.valid() && write(client->get(), &byte, 1) == 1 && read(accepted.get(), &byte, 1) == 1;
}

void LeaveStaleSocket(const std::string& path) {
  const UnixAddress address = PathAddress(path).value();
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(bind(fd.get(), address.get(), address.size), 0) << path;
  ASSERT_EQ(listen(fd.get(), 1), 0);
}

void WriteFile(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

pid_t ForkMortal() {
  const pid_t parent = getpid(), pid = fork();
  if (pid != 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);  // it was too late
  return 0;
}

int InChild(absl::FunctionRef<int()> body) {
  const pid_t pid = ForkMortal();
  if (pid == 0) _exit(body());
  return ExitCodeOf(WaitFor(pid));
}

int AsNobody(absl::FunctionRef<int()> body) {
  return InChild([&] {
    if (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0) return -1;
    return body();
  });
}

bool MayPlayUsers() {
  return AsNobody([] { return 0; }) == 0;
}

SteppedProcess::SteppedProcess(absl::FunctionRef<int()> body) {
  pid_ = ForkMortal();
  if (pid_ == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(127);
    raise(SIGSTOP);
    _exit(body());
  }
  wait_status_ = WaitFor(pid_);
}

SteppedProcess::~SteppedProcess() { Kill(); }

bool SteppedProcess::Step() {
  Resume(PTRACE_SYSCALL);
  return WIFSTOPPED(wait_status_);
}

int SteppedProcess::Finish() {
  while (WIFSTOPPED(wait_status_)) Resume(PTRACE_CONT);
  return ExitCodeOf(wait_status_);
}

void SteppedProcess::Kill() {
  if (!WIFSTOPPED(wait_status_)) return;
  kill(pid_, SIGKILL);
  wait_status_ = WaitFor(pid_);
}

void SteppedProcess::Resume(int how) {
  if (!WIFSTOPPED(wait_status_)) return;
  if (ptrace(static_cast<__ptrace_request>(how), pid_, nullptr, nullptr) == 0) wait_status_ = WaitFor(pid_);
}

}  // namespace nearcall
