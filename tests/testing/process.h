#ifndef NEARCALL_TESTS_TESTING_PROCESS_H_
#define NEARCALL_TESTS_TESTING_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "runtime/base/fd.h"

namespace nearcall::testing {

// A child of this process: this very program, started anew with other arguments, and a socket to talk to it in lines.
// It ends when the socket does, whatever becomes of this process.
//
// Threads: thread-compatible. The destructor ends the child and waits for it.
class Process {
 public:
  // The child runs RunRole(role, arguments).
  static std::unique_ptr<Process> Start(const std::string& role, const std::vector<std::string>& arguments);
  ~Process();

  pid_t pid() const { return pid_; }
  void Tell(const std::string& line);
  // The next line that the child says; empty when it has ended.
  std::string Hear();
  // Sends a signal.
  void Signal(int number);
  // Closes the socket and waits for the child's end: its exit status as waitpid gives it.
  int Wait();

 private:
  Process(pid_t pid, Fd socket) : pid_(pid), socket_(std::move(socket)) {}

  pid_t pid_;
  Fd socket_;
  std::string heard_;
};

// The child's side.
class Parent {
 public:
  explicit Parent(Fd socket) : socket_(std::move(socket)) {}
  void Tell(const std::string& line);
  std::string Hear();

 private:
  Fd socket_;
  std::string heard_;
};

// For main: if this process is a child that Start made, plays its role, sets *exit_code and says true.
bool PlayRole(int argc, char** argv, int* exit_code);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_PROCESS_H_
