#ifndef NEARCALL_CLIENT_STREAM_H_
#define NEARCALL_CLIENT_STREAM_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "nearcall/channel.h"
#include "nearcall/internal/client_call.h"

namespace nearcall {

// The caller's ends of streaming calls, with gRPC's names and meanings. The interfaces exist for mocks.
//
// Threads: one thread may read while another writes; Finish comes last.
// Errors: Read and Write return false when the call is over, for whatever reason; Finish tells the reason.
template <class R>
class ClientReaderInterface {
 public:
  virtual ~ClientReaderInterface() = default;
  // Blocks until the server's initial metadata has arrived (it is then in the context).
  virtual void WaitForInitialMetadata() = 0;
  // Blocks for the next message; false at the end of the stream.
  virtual bool Read(R* message) = 0;
  // Blocks for the server's status. Read to the end first, or cancel.
  virtual absl::Status Finish() = 0;
};

template <class W>
class ClientWriterInterface {
 public:
  virtual ~ClientWriterInterface() = default;
  // Blocks until there is room; false when the call is over.
  virtual bool Write(const W& message, WriteOptions options) = 0;
  bool Write(const W& message) { return Write(message, WriteOptions()); }
  // Half-closes: no messages follow.
  virtual bool WritesDone() = 0;
  // Blocks for the server's response and status. Call WritesDone first.
  virtual absl::Status Finish() = 0;
};

template <class W, class R>
class ClientReaderWriterInterface {
 public:
  virtual ~ClientReaderWriterInterface() = default;
  virtual void WaitForInitialMetadata() = 0;
  virtual bool Read(R* message) = 0;
  virtual bool Write(const W& message, WriteOptions options) = 0;
  bool Write(const W& message) { return Write(message, WriteOptions()); }
  virtual bool WritesDone() = 0;
  virtual absl::Status Finish() = 0;
};

template <class R>
class ClientReader final : public ClientReaderInterface<R> {
 public:
  // For generated code: sends the one request.
  ClientReader(Channel* channel, const internal::Method& method, ClientContext* context,
               const google::protobuf::MessageLite& request)
      : call_(channel->StartCall(method, context)) {
    WriteOptions last;
    last.last_message = true;
    call_->Write(request, last);
  }
  void WaitForInitialMetadata() override { call_->WaitForInitialMetadata(); }
  bool Read(R* message) override { return call_->Read(internal::InMessage(message)); }
  absl::Status Finish() override { return call_->Finish(); }

 private:
  std::unique_ptr<internal::ClientCall> call_;
};

template <class W>
class ClientWriter final : public ClientWriterInterface<W> {
 public:
  using ClientWriterInterface<W>::Write;
  // For generated code: `response` is filled in by Finish and must live until then.
  ClientWriter(Channel* channel, const internal::Method& method, ClientContext* context,
               google::protobuf::MessageLite* response)
      : call_(channel->StartCall(method, context)), response_(response) {}
  void WaitForInitialMetadata() { call_->WaitForInitialMetadata(); }
  bool Write(const W& message, WriteOptions options) override { return call_->Write(internal::OutMessage(message), options); }
  bool WritesDone() override { return call_->WritesDone(); }
  absl::Status Finish() override {
    const bool answered = call_->Read(response_);
    absl::Status status = call_->Finish();
    if (status.ok() && !answered) return absl::InternalError("the server ended the call with OK but sent no response");
    return status;
  }

 private:
  std::unique_ptr<internal::ClientCall> call_;
  google::protobuf::MessageLite* response_;
};

template <class W, class R>
class ClientReaderWriter final : public ClientReaderWriterInterface<W, R> {
 public:
  using ClientReaderWriterInterface<W, R>::Write;
  ClientReaderWriter(Channel* channel, const internal::Method& method, ClientContext* context)
      : call_(channel->StartCall(method, context)) {}
  void WaitForInitialMetadata() override { call_->WaitForInitialMetadata(); }
  bool Read(R* message) override { return call_->Read(internal::InMessage(message)); }
  bool Write(const W& message, WriteOptions options) override { return call_->Write(internal::OutMessage(message), options); }
  bool WritesDone() override { return call_->WritesDone(); }
  absl::Status Finish() override { return call_->Finish(); }

 private:
  std::unique_ptr<internal::ClientCall> call_;
};

}  // namespace nearcall

#endif  // NEARCALL_CLIENT_STREAM_H_
