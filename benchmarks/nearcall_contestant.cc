// nearcall as a contestant.

#include <time.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/contestants.h"
#include "benchmarks/echo.nearcall.h"
#include "benchmarks/echo.pb.h"
#include "benchmarks/placement.h"
#include "nearcall/nearcall.h"
#include "runtime/base/clock.h"

namespace nearcall::benchmarks {
namespace {

Spin SpinOf(const Setup& setup) {
  switch (setup.spin()) {
    case NEVER:
      return Spin::kNever;
    case ALWAYS:
      return Spin::kAlways;
    default:
      return Spin::kAdaptive;
  }
}

void Check(const absl::Status& status) {
  if (!status.ok()) Die(absl::StrCat("a call failed: ", status.ToString()));
}

class EchoService final : public Echo::Service {
  // An attached buffer is read at one place, and answered with another of its size.
  absl::Status Unary(ServerContext* context, const Payload* request, Payload* response) override {
    response->set_data(request->data());
    for (const Buffer& buffer : context->attachments()) {
      absl::StatusOr<Buffer> own = context->AllocateBuffer(buffer.size());
      if (!own.ok()) return own.status();
      own->mutable_data()[0] = buffer.data()[buffer.size() - 1];
      context->Attach(*std::move(own));
    }
    return absl::OkStatus();
  }
  absl::Status Upload(ServerContext*, ServerReader<Payload>* reader, Received* response) override {
    Payload message;
    int64_t messages = 0;
    while (reader->Read(&message)) ++messages;
    response->set_messages(messages);
    return absl::OkStatus();
  }
  absl::Status Sleep(ServerContext*, const Nap* request, Received*) override {
    absl::SleepFor(absl::Microseconds(request->micros()));
    return absl::OkStatus();
  }
};

class NearcallServer final : public RpcServer {
 public:
  explicit NearcallServer(const Setup& setup) {
    ServerOptions options;
    options.max_receive_message_bytes = -1;
    options.spin = SpinOf(setup);
    ServerBuilder builder;
    builder.SetOptions(options).AddListeningPort(setup.address()).RegisterService(&service_);
    absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
    Check(server.status());
    server_ = *std::move(server);
  }
  std::string address() const override { return server_->addresses().front(); }

 private:
  EchoService service_;
  std::unique_ptr<Server> server_;
};

class NearcallCaller final : public Caller {
 public:
  NearcallCaller(Echo::Stub* stub, size_t bytes) : stub_(stub), bytes_(bytes) {
    request_.set_data(std::string(bytes, 'x'));
  }
  void Call() override {
    ClientContext context;
    const absl::Status status = stub_->Unary(&context, request_, &response_);
    if (!status.ok()) Check(status);
    if (response_.data().size() != bytes_) Die("an echo of another size");
  }

 private:
  Echo::Stub* const stub_;
  const size_t bytes_;
  Payload request_;
  Payload response_;
};

// The bytes are a buffer, allocated and let go with each call.
class BufferCaller final : public Caller {
 public:
  BufferCaller(Channel* channel, Echo::Stub* stub, size_t bytes) : channel_(channel), stub_(stub), bytes_(bytes) {}
  void Call() override {
    absl::StatusOr<Buffer> buffer = channel_->AllocateBuffer(bytes_);
    Check(buffer.status());
    buffer->mutable_data()[bytes_ - 1] = ++mark_;
    ClientContext context;
    context.Attach(*std::move(buffer));
    Check(stub_->Unary(&context, request_, &response_));
    const Buffer& echo = context.attachments().at(0);
    if (echo.size() != bytes_ || echo.data()[0] != mark_) Die("an echo of another buffer");
  }

 private:
  Channel* const channel_;
  Echo::Stub* const stub_;
  const size_t bytes_;
  uint8_t mark_ = 0;
  Payload request_;
  Payload response_;
};

class NearcallAsyncCaller final : public AsyncCaller {
 public:
  NearcallAsyncCaller(Echo::Stub* stub, size_t bytes) : stub_(stub) { request_.set_data(std::string(bytes, 'x')); }
  void Start() override {
    context_.emplace();
    stub_->async()->Unary(&*context_, &request_, &response_, [this](absl::Status status) {
      if (!status.ok()) Check(status);
      done();
    });
  }

 private:
  Echo::Stub* const stub_;
  std::optional<ClientContext> context_;
  Payload request_;
  Payload response_;
};

class NearcallConnection final : public Connection {
 public:
  NearcallConnection(const std::string& address, const ChannelOptions& options, bool buffers)
      : channel_(CreateChannel(address, options)), stub_(Echo::NewStub(channel_)), buffers_(buffers) {}

  std::unique_ptr<Caller> NewCaller(size_t bytes) override {
    if (buffers_) return std::make_unique<BufferCaller>(channel_.get(), stub_.get(), bytes);
    return std::make_unique<NearcallCaller>(stub_.get(), bytes);
  }
  std::unique_ptr<AsyncCaller> NewAsyncCaller(size_t bytes) override {
    return std::make_unique<NearcallAsyncCaller>(stub_.get(), bytes);
  }
  int64_t Stream(size_t bytes, int64_t end) override {
    ClientContext context;
    Payload message;
    message.set_data(std::string(bytes, 'x'));
    Received received;
    const std::unique_ptr<ClientWriter<Payload>> writer = stub_->Upload(&context, &received);
    const int batch = bytes > 4096 ? 1 : 64;
    do {
      for (int i = 0; i < batch; ++i) {
        if (!writer->Write(message)) break;
      }
    } while (MonotonicNanos() < end);
    writer->WritesDone();
    Check(writer->Finish());
    return received.messages();
  }
  void Sleep(int64_t micros) override {
    ClientContext context;
    Nap nap;
    nap.set_micros(micros);
    Received received;
    Check(stub_->Sleep(&context, nap, &received));
  }

 private:
  const std::shared_ptr<Channel> channel_;
  const std::unique_ptr<Echo::Stub> stub_;
  const bool buffers_;
};

class NearcallClient final : public RpcClient {
 public:
  explicit NearcallClient(const Setup& setup)
      : address_(setup.address()), buffers_(absl::EndsWith(setup.contestant(), "-buffer")) {
    options_.max_receive_message_bytes = -1;
    options_.spin = SpinOf(setup);
    if (setup.contestant() == "inproc") {
      // Threads inherit where their creator may run: the server's run where another process's would.
      const ScopedPlace place(setup, /*server=*/true);
      server_ = std::make_unique<NearcallServer>(setup);
    }
  }
  std::unique_ptr<Connection> Connect() override {
    return std::make_unique<NearcallConnection>(address_, options_, buffers_);
  }

 private:
  std::unique_ptr<NearcallServer> server_;
  const std::string address_;
  const bool buffers_;
  ChannelOptions options_;
};

}  // namespace

std::unique_ptr<RpcServer> NewNearcallServer(const Setup& setup) { return std::make_unique<NearcallServer>(setup); }
std::unique_ptr<RpcClient> NewNearcallClient(const Setup& setup) { return std::make_unique<NearcallClient>(setup); }

}  // namespace nearcall::benchmarks
