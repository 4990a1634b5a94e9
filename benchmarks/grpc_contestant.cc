// gRPC C++ as a contestant: its synchronous API, and its callback API for calls in flight. And the same code, service
// and caller, over nearcall through the generated adapters.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "benchmarks/contestants.h"
#include "benchmarks/echo.pb.h"
#include "benchmarks/echo_grpc.nearcall.h"
#include "nearcall/nearcall.h"
#include "runtime/base/clock.h"

namespace nearcall::benchmarks {
namespace {

void Check(const grpc::Status& status) {
  if (!status.ok()) Die(absl::StrCat("a call over gRPC failed: ", status.error_message()));
}

template <class Base>
class SyncMethods : public Base {
  grpc::Status Upload(grpc::ServerContext*, grpc::ServerReader<Payload>* reader, Received* response) override {
    Payload message;
    int64_t messages = 0;
    while (reader->Read(&message)) ++messages;
    response->set_messages(messages);
    return grpc::Status::OK;
  }
  grpc::Status Sleep(grpc::ServerContext*, const Nap* request, Received*) override {
    absl::SleepFor(absl::Microseconds(request->micros()));
    return grpc::Status::OK;
  }
};

class SyncService final : public SyncMethods<Echo::Service> {
  grpc::Status Unary(grpc::ServerContext*, const Payload* request, Payload* response) override {
    response->set_data(request->data());
    return grpc::Status::OK;
  }
};

class CallbackService final : public SyncMethods<Echo::WithCallbackMethod_Unary<Echo::Service>> {
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const Payload* request,
                                  Payload* response) override {
    response->set_data(request->data());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

class GrpcServer final : public RpcServer {
 public:
  explicit GrpcServer(const Setup& setup) : address_(setup.address()) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(-1);
    const bool callback = absl::EndsWith(setup.contestant(), "-callback");
    builder.RegisterService(callback ? static_cast<grpc::Service*>(&callback_) : &sync_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) Die("gRPC's server does not start");
    if (absl::StartsWith(setup.contestant(), "grpc-tcp")) address_ = absl::StrCat("127.0.0.1:", port);
  }
  std::string address() const override { return address_; }

 private:
  SyncService sync_;
  CallbackService callback_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

class AdapterServer final : public RpcServer {
 public:
  explicit AdapterServer(const Setup& setup) {
    nearcall::ServerOptions options;
    options.max_receive_message_bytes = -1;
    nearcall::ServerBuilder builder;
    builder.SetOptions(options).AddListeningPort(setup.address()).RegisterService(service_.get());
    absl::StatusOr<std::unique_ptr<nearcall::Server>> server = builder.BuildAndStart();
    if (!server.ok()) Die(server.status().ToString());
    server_ = *std::move(server);
  }
  std::string address() const override { return server_->addresses().front(); }

 private:
  SyncService implementation_;
  const std::unique_ptr<nearcall::Service> service_ = nearcall_grpc::Echo::NewService(&implementation_);
  std::unique_ptr<nearcall::Server> server_;
};

class GrpcCaller final : public Caller {
 public:
  GrpcCaller(Echo::StubInterface* stub, size_t bytes) : stub_(stub), bytes_(bytes) {
    request_.set_data(std::string(bytes, 'x'));
  }
  void Call() override {
    grpc::ClientContext context;
    const grpc::Status status = stub_->Unary(&context, request_, &response_);
    if (!status.ok()) Check(status);
    if (response_.data().size() != bytes_) Die("an echo of another size");
  }

 private:
  Echo::StubInterface* const stub_;
  const size_t bytes_;
  Payload request_;
  Payload response_;
};

class GrpcAsyncCaller final : public AsyncCaller {
 public:
  GrpcAsyncCaller(Echo::StubInterface* stub, size_t bytes) : stub_(stub) { request_.set_data(std::string(bytes, 'x')); }
  void Start() override {
    context_.emplace();
    stub_->async()->Unary(&*context_, &request_, &response_, [this](const grpc::Status& status) {
      if (!status.ok()) Check(status);
      done();
    });
  }

 private:
  Echo::StubInterface* const stub_;
  std::optional<grpc::ClientContext> context_;
  Payload request_;
  Payload response_;
};

class GrpcConnection final : public Connection {
 public:
  explicit GrpcConnection(std::unique_ptr<Echo::StubInterface> stub) : stub_(std::move(stub)) {}

  std::unique_ptr<Caller> NewCaller(size_t bytes) override { return std::make_unique<GrpcCaller>(stub_.get(), bytes); }
  std::unique_ptr<AsyncCaller> NewAsyncCaller(size_t bytes) override {
    return std::make_unique<GrpcAsyncCaller>(stub_.get(), bytes);
  }
  int64_t Stream(size_t bytes, int64_t end) override {
    grpc::ClientContext context;
    Payload message;
    message.set_data(std::string(bytes, 'x'));
    Received received;
    const auto writer = stub_->Upload(&context, &received);
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
    grpc::ClientContext context;
    Nap nap;
    nap.set_micros(micros);
    Received received;
    Check(stub_->Sleep(&context, nap, &received));
  }

 private:
  const std::unique_ptr<Echo::StubInterface> stub_;
};

class GrpcClient final : public RpcClient {
 public:
  explicit GrpcClient(const Setup& setup) : address_(setup.address()) {}
  std::unique_ptr<Connection> Connect() override {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // or else all channels share a connection
    return std::make_unique<GrpcConnection>(
        Echo::NewStub(grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments)));
  }

 private:
  const std::string address_;
};

class AdapterClient final : public RpcClient {
 public:
  explicit AdapterClient(const Setup& setup) : address_(setup.address()) {}
  std::unique_ptr<Connection> Connect() override {
    nearcall::ChannelOptions options;
    options.max_receive_message_bytes = -1;
    return std::make_unique<GrpcConnection>(nearcall_grpc::Echo::NewStub(nearcall::CreateChannel(address_, options)));
  }

 private:
  const std::string address_;
};

}  // namespace

std::unique_ptr<RpcServer> NewGrpcServer(const Setup& setup) { return std::make_unique<GrpcServer>(setup); }
std::unique_ptr<RpcClient> NewGrpcClient(const Setup& setup) { return std::make_unique<GrpcClient>(setup); }
std::unique_ptr<RpcServer> NewAdapterServer(const Setup& setup) { return std::make_unique<AdapterServer>(setup); }
std::unique_ptr<RpcClient> NewAdapterClient(const Setup& setup) { return std::make_unique<AdapterClient>(setup); }

}  // namespace nearcall::benchmarks
