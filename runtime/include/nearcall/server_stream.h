#ifndef NEARCALL_SERVER_STREAM_H_
#define NEARCALL_SERVER_STREAM_H_

#include "nearcall/internal/server_call.h"

namespace nearcall {

// The handler's ends of streaming calls, with gRPC's names and meanings.
//
// Threads: one thread may read while another writes. Lifetime: the framework's, valid until the handler returns.
// Errors: Read and Write return false when there is nothing more to read, or nobody to write to, or the call's deadline
// has passed.
template <class R>
class ServerReader {
 public:
  explicit ServerReader(internal::ServerCall* call) : call_(call) {}
  // Sends the context's initial metadata now instead of with the first message.
  void SendInitialMetadata() { call_->SendInitialMetadata(); }
  // Blocks for the next message.
  bool Read(R* message) { return call_->Read(internal::InMessage(message)); }

 private:
  internal::ServerCall* call_;
};

template <class W>
class ServerWriter {
 public:
  explicit ServerWriter(internal::ServerCall* call) : call_(call) {}
  void SendInitialMetadata() { call_->SendInitialMetadata(); }
  // Blocks until there is room.
  bool Write(const W& message, WriteOptions options = WriteOptions()) { return call_->Write(internal::OutMessage(message), options); }

 private:
  internal::ServerCall* call_;
};

// Named as gRPC's: W is what the server writes, R what it reads.
template <class W, class R>
class ServerReaderWriter {
 public:
  explicit ServerReaderWriter(internal::ServerCall* call) : call_(call) {}
  void SendInitialMetadata() { call_->SendInitialMetadata(); }
  bool Read(R* message) { return call_->Read(internal::InMessage(message)); }
  bool Write(const W& message, WriteOptions options = WriteOptions()) { return call_->Write(internal::OutMessage(message), options); }

 private:
  internal::ServerCall* call_;
};

}  // namespace nearcall

#endif  // NEARCALL_SERVER_STREAM_H_
