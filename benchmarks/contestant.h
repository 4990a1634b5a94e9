#ifndef NEARCALL_BENCHMARKS_CONTESTANT_H_
#define NEARCALL_BENCHMARKS_CONTESTANT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "benchmarks/control.pb.h"

namespace nearcall::benchmarks {

// What is compared: something that echoes bytes between two processes. Each of its processes makes one of these.
// Whatever fails in the middle of a round ends the process with a message: figures of calls that fail are worth
// nothing.

// Calls for one thread.
class Caller {
 public:
  virtual ~Caller() = default;
  virtual void Call() = 0;  // blocks for the echo
};

// One asynchronous call after another.
class AsyncCaller {
 public:
  virtual ~AsyncCaller() = default;
  // Calls and returns; `done` runs later, on any thread, and may start the next.
  virtual void Start() = 0;
  std::function<void()> done;
};

// Threads: thread-safe.
class Connection {
 public:
  virtual ~Connection() = default;
  virtual std::unique_ptr<Caller> NewCaller(size_t bytes) = 0;
  virtual std::unique_ptr<AsyncCaller> NewAsyncCaller(size_t bytes) = 0;
  // Sends messages until `end` on the monotonic clock, and blocks until the server has them all; returns how many.
  virtual int64_t Stream(size_t bytes, int64_t end) = 0;
  // Has a handler sleep, and blocks for it.
  virtual void Sleep(int64_t micros) = 0;
};

// The client's process of an RPC system.
class RpcClient {
 public:
  virtual ~RpcClient() = default;
  virtual std::unique_ptr<Connection> Connect() = 0;  // a connection of its own
};

// The server's process of an RPC system.
class RpcServer {
 public:
  virtual ~RpcServer() = default;
  virtual std::string address() const = 0;
};

// Both processes of a floor: what the machine charges for the same exchange with no RPC system at all. Each is told of
// every round; the server's process returns when the client's has told it that the round is over.
class Floor {
 public:
  virtual ~Floor() = default;
  virtual std::string address() const { return ""; }
  virtual void Serve(const Round& round) = 0;
  virtual Sample Drive(const Round& round) = 0;
};

// Prints what failed, and ends the process.
[[noreturn]] void Die(const std::string& what);

}  // namespace nearcall::benchmarks

#endif  // NEARCALL_BENCHMARKS_CONTESTANT_H_
