#ifndef NEARCALL_INTERNAL_GRPC_STUB_H_
#define NEARCALL_INTERNAL_GRPC_STUB_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/status.h"
#include "grpcpp/support/sync_stream.h"
#include "nearcall/channel.h"
#include "nearcall/client_context.h"
#include "nearcall/internal/client_call.h"
#include "nearcall/internal/method.h"
#include "nearcall/internal/mutex.h"

namespace nearcall {
namespace internal {

// What is behind the generated adapters for callers, which implement gRPC's StubInterface over a channel of nearcall's
// (cc_nearcall_library's grpc_adapter). docs/adr/0006-grpc-adapter.md has the reasons.

// Where the calls of one adapter go: straight to the channel, or, where only gRPC itself can make them, on the detour.
//
// Threads: thread-safe. Calls keep what they need of it.
class GrpcCalls {
 public:
  explicit GrpcCalls(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}

  // Whether the context says something that only gRPC can act on: a parent call, or credentials of the call.
  static bool NeedsGrpc(grpc::ClientContext* context);
  // The same channel as one of gRPC's (GrpcChannelOver), made on first use. Never null.
  std::shared_ptr<grpc::Channel> Detour() const;

  const std::shared_ptr<Channel>& channel() const { return channel_; }
  // Calls and blocks for the answer.
  grpc::Status Unary(const Method& method, grpc::ClientContext* context, const google::protobuf::MessageLite& request,
                     google::protobuf::MessageLite* response) const;

 private:
  const std::shared_ptr<Channel> channel_;
  mutable Mutex mu_;
  mutable std::shared_ptr<grpc::Channel> detour_ ABSL_GUARDED_BY(mu_);
};

// A context of ours that stands for one of gRPC's in a call that goes straight: it is told what that says, is cancelled
// with it, and what is learnt of the call is entered there.
//
// Threads: thread-compatible; gRPC's context may be cancelled by any thread.
class GrpcContextLink {
 public:
  // Begins the call as far as gRPC's context is concerned. A context that has served a call already ends the program,
  // as it does in gRPC.
  explicit GrpcContextLink(grpc::ClientContext* context);
  GrpcContextLink(const GrpcContextLink&) = delete;
  GrpcContextLink& operator=(const GrpcContextLink&) = delete;

  ClientContext* ours() const { return ours_; }
  void TakeInitialMetadata();
  // Trailing metadata as well; what the call came to, in gRPC's terms.
  grpc::Status TakeEnd(const absl::Status& status);

 private:
  grpc::ClientContext* const context_;
  ClientContext* ours_;  // lives as long as gRPC's
  bool has_initial_metadata_ = false;
};

// A streaming call that goes straight.
//
// Threads: one thread may read while another writes.
class GrpcStream {
 public:
  GrpcStream(const GrpcCalls& calls, const Method& method, grpc::ClientContext* context);

  bool Write(const google::protobuf::MessageLite& message, const grpc::WriteOptions& options);
  bool WritesDone() { return call_->WritesDone(); }
  bool Read(google::protobuf::MessageLite* message);
  void WaitForInitialMetadata();
  grpc::Status Finish();
  // For Finish of a call with one response.
  grpc::Status FinishWith(google::protobuf::MessageLite* response);
  // gRPC only ever says that there is no telling.
  static bool NextMessageSize(uint32_t* size) {
    *size = UINT32_MAX;
    return true;
  }

 private:
  const std::shared_ptr<Channel> channel_;
  GrpcContextLink link_;
  std::unique_ptr<ClientCall> call_;
};

// gRPC's three kinds of synchronous streams.

template <class R>
class GrpcReader final : public grpc::ClientReaderInterface<R> {
 public:
  GrpcReader(const GrpcCalls& calls, const Method& method, grpc::ClientContext* context,
             const google::protobuf::MessageLite& request)
      : stream_(calls, method, context) {
    stream_.Write(request, grpc::WriteOptions().set_last_message());
  }
  void WaitForInitialMetadata() override { stream_.WaitForInitialMetadata(); }
  bool NextMessageSize(uint32_t* size) override { return GrpcStream::NextMessageSize(size); }
  bool Read(R* message) override { return stream_.Read(message); }
  grpc::Status Finish() override { return stream_.Finish(); }

 private:
  GrpcStream stream_;
};

template <class W>
class GrpcWriter final : public grpc::ClientWriterInterface<W> {
 public:
  // `response` must live until Finish has returned.
  GrpcWriter(const GrpcCalls& calls, const Method& method, grpc::ClientContext* context,
             google::protobuf::MessageLite* response)
      : stream_(calls, method, context), response_(response) {}
  using grpc::internal::WriterInterface<W>::Write;
  bool Write(const W& message, grpc::WriteOptions options) override { return stream_.Write(message, options); }
  bool WritesDone() override { return stream_.WritesDone(); }
  grpc::Status Finish() override { return stream_.FinishWith(response_); }

 private:
  GrpcStream stream_;
  google::protobuf::MessageLite* const response_;
};

template <class W, class R>
class GrpcReaderWriter final : public grpc::ClientReaderWriterInterface<W, R> {
 public:
  GrpcReaderWriter(const GrpcCalls& calls, const Method& method, grpc::ClientContext* context)
      : stream_(calls, method, context) {}
  using grpc::internal::WriterInterface<W>::Write;
  void WaitForInitialMetadata() override { stream_.WaitForInitialMetadata(); }
  bool NextMessageSize(uint32_t* size) override { return GrpcStream::NextMessageSize(size); }
  bool Read(R* message) override { return stream_.Read(message); }
  bool Write(const W& message, grpc::WriteOptions options) override { return stream_.Write(message, options); }
  bool WritesDone() override { return stream_.WritesDone(); }
  grpc::Status Finish() override { return stream_.Finish(); }

 private:
  GrpcStream stream_;
};

// gRPC's own stub of the service `S` on the detour, made on first use.
//
// Threads: thread-safe.
template <class S>
class GrpcDetour {
 public:
  typename S::StubInterface* Stub(const GrpcCalls& calls) {
    MutexLock lock(&mu_);
    if (stub_ == nullptr) stub_ = S::NewStub(calls.Detour());
    return stub_.get();
  }

 private:
  Mutex mu_;
  std::unique_ptr<typename S::StubInterface> stub_ ABSL_GUARDED_BY(mu_);
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_GRPC_STUB_H_
