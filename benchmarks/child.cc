#include "benchmarks/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "benchmarks/contestants.h"
#include "benchmarks/floors/floors.h"
#include "benchmarks/load.h"
#include "benchmarks/placement.h"

namespace nearcall::benchmarks {
namespace {

// A message is a packet. False when the other side is gone.
bool SendPacket(int fd, const google::protobuf::MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

// An empty packet looks like the end, so none may be empty: a child's Sample has calls or an error, and so on.
bool ReceivePacket(int fd, google::protobuf::MessageLite* message) {
  std::vector<char> bytes(1 << 20);
  ssize_t size;
  do {
    size = recv(fd, bytes.data(), bytes.size(), 0);
  } while (size < 0 && errno == EINTR);
  return size > 0 && message->ParseFromArray(bytes.data(), static_cast<int>(size));
}

// Marks the answer of a server's process, which has nothing to tell.
constexpr char kNothing[] = "-";

std::unique_ptr<RpcServer> NewServer(const Setup& setup) {
  if (absl::EndsWith(setup.contestant(), "-adapter")) return NewAdapterServer(setup);
  return absl::StartsWith(setup.contestant(), "grpc-") ? NewGrpcServer(setup) : NewNearcallServer(setup);
}
std::unique_ptr<RpcClient> NewClient(const Setup& setup) {
  if (absl::EndsWith(setup.contestant(), "-adapter")) return NewAdapterClient(setup);
  return absl::StartsWith(setup.contestant(), "grpc-") ? NewGrpcClient(setup) : NewNearcallClient(setup);
}

void ServeRounds(const Setup& setup) {
  const std::unique_ptr<Floor> floor = NewFloor(setup, true);
  const std::unique_ptr<RpcServer> server = floor == nullptr ? NewServer(setup) : nullptr;
  Ready ready;
  ready.set_address(absl::StrCat(floor == nullptr ? server->address() : floor->address()));
  if (ready.address().empty()) ready.set_address(setup.address());
  if (!SendPacket(kControlFd, ready)) return;
  Sample nothing;
  nothing.set_error(kNothing);
  Round round;
  while (ReceivePacket(kControlFd, &round)) {
    if (floor != nullptr) floor->Serve(round);
    if (!SendPacket(kControlFd, nothing)) return;
  }
}

void DriveRounds(const Setup& setup) {
  const std::unique_ptr<Floor> floor = NewFloor(setup, false);
  const std::unique_ptr<Load> load = floor == nullptr ? std::make_unique<Load>(NewClient(setup)) : nullptr;
  Ready ready;
  ready.set_address(setup.address());
  if (!SendPacket(kControlFd, ready)) return;
  Round round;
  while (ReceivePacket(kControlFd, &round)) {
    const Sample sample = floor != nullptr ? floor->Drive(round) : load->Run(round);
    if (!SendPacket(kControlFd, sample)) return;
  }
}

}  // namespace

void Die(const std::string& what) {
  fprintf(stderr, "compare: %s\n", what.c_str());
  _exit(1);
}

int RunChild(bool server) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Setup setup;
  if (!ReceivePacket(kControlFd, &setup)) Die("started by hand: --role is for this program itself");
  Place(setup, server);
  server ? ServeRounds(setup) : DriveRounds(setup);
  _exit(0);  // nobody waits for connections to be closed in order
}

Child::Child(const Setup& setup, bool server, const std::array<int, 3>& shared)
    : name_(absl::StrCat(setup.contestant(), server ? "'s server" : "'s client")) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) Die("cannot make a socket pair");
  const std::string role = server ? "--role=server" : "--role=client";
  std::string program = "compare";
  pid_ = fork();
  if (pid_ < 0) Die("cannot fork");
  if (pid_ == 0) {
    const int wanted[] = {ends[1], shared[0], shared[1], shared[2]};
    int high[4];
    for (int i = 0; i < 4; ++i) high[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, kInheritedFds);
    for (int i = 0; i < 4; ++i) dup2(high[i], kControlFd + i);
    char* const arguments[] = {program.data(), const_cast<char*>(role.c_str()), nullptr};
    execv("/proc/self/exe", arguments);
    _exit(127);
  }
  close(ends[1]);
  control_ = ends[0];
  const timeval patience{60, 0};
  setsockopt(control_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  Ready ready;
  if (!SendPacket(control_, setup) || !ReceivePacket(control_, &ready)) Die(absl::StrCat(name_, " does not start"));
  address_ = ready.address();
}

Child::~Child() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(control_);
}

void Child::Start(const Round& round) {
  if (!SendPacket(control_, round)) Die(absl::StrCat(name_, " has died"));
}

Sample Child::Finish() {
  Sample sample;
  if (!ReceivePacket(control_, &sample)) Die(absl::StrCat(name_, " has died, or does not answer"));
  return sample;
}

int64_t Child::CpuNanos() const {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid_, &clock) == 0) clock_gettime(clock, &used);
  return int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

Pair::Pair(Setup setup, const std::string& directory) {
  shared_ = {memfd_create("cache-line", MFD_CLOEXEC), eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
  if (ftruncate(shared_[0], 4096) != 0) Die("cannot make a shared page");
  static int serial = 0;
  const std::string path = absl::StrCat(directory, "/", ++serial);
  const std::string& name = setup.contestant();
  if (name == "shm" || name == "unix") {
    setup.set_address(absl::StrCat(name, ":", path));
  } else if (name == "shm-adapter" || name == "shm-buffer") {
    setup.set_address(absl::StrCat("shm:", path));
  } else if (name == "unix-buffer") {
    setup.set_address(absl::StrCat("unix:", path));
  } else if (name == "tcp") {
    setup.set_address("tcp:127.0.0.1:0");
  } else if (name == "inproc") {
    setup.set_address("inproc:compare");
  } else if (absl::StartsWith(name, "grpc-unix")) {
    setup.set_address(absl::StrCat("unix:", path));
  } else if (absl::StartsWith(name, "grpc-tcp")) {
    setup.set_address("127.0.0.1:0");
  } else {
    setup.set_address(path);
  }
  if (name != "inproc") {
    server_ = std::make_unique<Child>(setup, true, shared_);
    setup.set_address(server_->address());
  }
  client_ = std::make_unique<Child>(setup, false, shared_);
}

Pair::~Pair() {
  for (const int fd : shared_) close(fd);
}

Pair::Outcome Pair::Run(const Round& round) {
  const int64_t before = CpuNanos();
  if (server_ != nullptr) server_->Start(round);
  client_->Start(round);
  Outcome outcome;
  outcome.sample = client_->Finish();
  if (server_ != nullptr) server_->Finish();
  outcome.cpu_seconds = static_cast<double>(CpuNanos() - before) / 1e9;
  return outcome;
}

int64_t Pair::CpuNanos() const { return client_->CpuNanos() + (server_ == nullptr ? 0 : server_->CpuNanos()); }

}  // namespace nearcall::benchmarks
