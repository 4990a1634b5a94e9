#ifndef NEARCALL_TESTS_CONFORMANCE_RAW_SOCKET_H_
#define NEARCALL_TESTS_CONFORMANCE_RAW_SOCKET_H_

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/base/fd.h"
#include "runtime/wire/frame.h"

namespace nearcall::testing {

// The socket behind an address of ours, for peers that do as they like.
//
// Threads: thread-compatible, but for StopListening, from any thread.
class RawSocket {
 public:
  // `address`: tcp:127.0.0.1:PORT, unix-abstract:NAME, or any scheme with a path.
  static RawSocket ConnectTo(const std::string& address);
  static RawSocket ListenAt(const std::string& address);

  bool valid() const { return fd_.valid(); }
  int fd() const { return fd_.get(); }
  // The address with its port.
  const std::string& address() const { return address_; }
  // Invalid once StopListening was called.
  RawSocket Accept();
  void StopListening();

  // Sends as much as the peer takes before it hangs up.
  void Send(const std::string& bytes);
  // The same with descriptors at the first byte: at most 253, the kernel's limit.
  void SendWithFds(const std::string& bytes, const std::vector<int>& fds);
  void DoneSending();
  // Reads exactly so many bytes; false when the peer hangs up before.
  bool ReceiveBytes(void* to, size_t size);
  // Reads one frame; false when it is not of this kind. `detail`, where not null, is set to the header's.
  bool ReceiveFrame(FrameKind kind, uint16_t* detail = nullptr);
  // Reads until the peer has hung up.
  void AwaitEnd();

 private:
  RawSocket(Fd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}

  Fd fd_;
  std::string address_;
};

// A server of nothing in particular: has `serve` run for each client that connects to `address`, one after the other,
// on a thread of its own.
//
// Lifetime: the destructor stops listening and waits until the last client is served.
class RawServer {
 public:
  RawServer(const std::string& address, std::function<void(RawSocket)> serve);
  ~RawServer();
  // The address with its port.
  const std::string& address() const { return listener_.address(); }

 private:
  RawSocket listener_;
  std::thread thread_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_CONFORMANCE_RAW_SOCKET_H_
