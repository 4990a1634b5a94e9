#include "tests/testing/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tests/testing/roles.h"

extern char** environ;

namespace nearcall::testing {
namespace {

constexpr char kFlag[] = "--nearcall_test_role";
constexpr int kChildFd = 3;

void Send(const Fd& socket, const std::string& line) {
  const std::string bytes = line + "\n";
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = send(socket.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // nobody listens any more
    sent += static_cast<size_t>(count);
  }
}

std::string ReadLine(const Fd& socket, std::string* heard) {
  for (;;) {
    const size_t end = heard->find('\n');
    if (end != std::string::npos) {
      std::string line = heard->substr(0, end);
      heard->erase(0, end + 1);
      return line;
    }
    char bytes[4096];
    const ssize_t got = recv(socket.get(), bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::string();
    heard->append(bytes, static_cast<size_t>(got));
  }
}

}  // namespace

std::unique_ptr<Process> Process::Start(const std::string& role, const std::vector<std::string>& arguments) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) abort();
  Fd ours(ends[0]);
  // Never kChildFd itself, for then dup2 would leave it to be closed on exec.
  Fd theirs(fcntl(ends[1], F_DUPFD_CLOEXEC, kChildFd + 1));
  close(ends[1]);

  std::vector<char*> argv = {const_cast<char*>("nearcall_test"), const_cast<char*>(kFlag),
                             const_cast<char*>(role.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), kChildFd);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fprintf(stderr, "cannot start a child: error %d\n", error);
    abort();
  }
  return std::unique_ptr<Process>(new Process(pid, std::move(ours)));
}

Process::~Process() {
  if (pid_ != 0) Wait();
}

void Process::Tell(const std::string& line) { Send(socket_, line); }
std::string Process::Hear() { return ReadLine(socket_, &heard_); }
void Process::Signal(int number) { kill(pid_, number); }

int Process::Wait() {
  socket_.reset();
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return status;
}

void Parent::Tell(const std::string& line) { Send(socket_, line); }
std::string Parent::Hear() { return ReadLine(socket_, &heard_); }

bool PlayRole(int argc, char** argv, int* exit_code) {
  if (argc < 3 || std::string(argv[1]) != kFlag) return false;
  Parent parent{Fd(kChildFd)};
  fcntl(kChildFd, F_SETFD, FD_CLOEXEC);
  *exit_code = RunRole(argv[2], std::vector<std::string>(argv + 3, argv + argc), &parent);
  return true;
}

}  // namespace nearcall::testing
