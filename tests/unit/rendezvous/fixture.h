#ifndef NEARCALL_TESTS_UNIT_RENDEZVOUS_FIXTURE_H_
#define NEARCALL_TESTS_UNIT_RENDEZVOUS_FIXTURE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "runtime/base/fd.h"
#include "runtime/rendezvous/socket_file.h"

namespace nearcall {

inline constexpr uid_t kNobody = 65534;

// A directory of its own for each test, with a path short enough for sockets. Each test must leave the descriptors that
// it found.
class RendezvousTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  const std::string& directory() const { return directory_; }
  std::string PathOf(const std::string& name) const { return directory_ + "/" + name; }
  // The names in the directory, sorted.
  std::vector<std::string> Files() const;

 private:
  int descriptors_ = 0;
  std::string directory_;
};

// How many descriptors this process has open.
int CountDescriptors();
// Whether a client that connects to `path` now reaches `server`.
bool Reaches(const std::string& path, const SocketFile& server);
// What a server leaves that had no time to clean up: a socket file that nobody listens on.
void LeaveStaleSocket(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);
std::string ReadFile(const std::string& path);
mode_t ModeOf(const std::string& path);

// Forks a child that is killed when this process ends, however it ends: a failing test leaves no process behind.
pid_t ForkMortal();
// Runs `body` in a forked process, and returns what it returned; -1 if it died.
int InChild(absl::FunctionRef<int()> body);
// The same, as the user nobody; the test must have asked MayPlayUsers first.
int AsNobody(absl::FunctionRef<int()> body);
bool MayPlayUsers();

// A forked process that runs `body` from one step to the next, where a step is the entry to or the exit from a system
// call.
//
// Threads: by the thread that made it.
class SteppedProcess {
 public:
  explicit SteppedProcess(absl::FunctionRef<int()> body);
  ~SteppedProcess();  // kills it
  // False when it has ended instead.
  bool Step();
  // Lets it run to its end, and returns what `body` returned; -1 if it died.
  int Finish();
  void Kill();

 private:
  void Resume(int how);

  pid_t pid_ = -1;
  int wait_status_ = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_TESTS_UNIT_RENDEZVOUS_FIXTURE_H_
