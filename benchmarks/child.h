#ifndef NEARCALL_BENCHMARKS_CHILD_H_
#define NEARCALL_BENCHMARKS_CHILD_H_

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// The main function of a child: this program, started again by Child.
int RunChild(bool server);

// One process of a contestant. What goes wrong with it ends this program: its error is on the terminal by then.
//
// Threads: thread-compatible. The destructor ends the process.
class Child {
 public:
  // Starts the process, and blocks until it is ready. It inherits `shared` as kMemoryFd, kPingFd and kPongFd.
  Child(const Setup& setup, bool server, const std::array<int, 3>& shared);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Start(const Round& round);
  Sample Finish();

  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }
  // The time that all its threads have run, in nanoseconds.
  int64_t CpuNanos() const;

 private:
  const std::string name_;
  pid_t pid_ = -1;
  int control_ = -1;
  std::string address_;
};

// Both processes of a contestant.
class Pair {
 public:
  // `setup` without the address.
  Pair(Setup setup, const std::string& directory);
  ~Pair();

  struct Outcome {
    Sample sample;
    double cpu_seconds;  // of both
  };
  Outcome Run(const Round& round);

  int64_t CpuNanos() const;
  Child* client() { return client_.get(); }
  Child* server() { return server_.get(); }  // null where it is in the client's process

 private:
  std::array<int, 3> shared_;
  std::unique_ptr<Child> server_;
  std::unique_ptr<Child> client_;
};

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_CHILD_H_
