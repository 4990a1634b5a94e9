#include "tests/grpc/grpc_greeter.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <chrono>
#include <thread>

#include "google/protobuf/duration.pb.h"
#include "nearcall/status_details.h"
#include "tests/grpc/greeters.h"

namespace {

void ReturnTag(grpc::ServerContext* context) {
  const auto tag = context->client_metadata().find("tag");
  if (tag == context->client_metadata().end()) return;
  const std::string value(tag->second.data(), tag->second.size());
  context->AddInitialMetadata("tag", value);
  context->AddTrailingMetadata("tag-bin", value + std::string(1, '\0'));
}

class Greeter final : public helloworld::Greeter::Service {
  grpc::Status SayHello(grpc::ServerContext* context, const helloworld::HelloRequest* request,
                        helloworld::HelloReply* reply) override {
    if (request->name() == "slow") {
      while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return grpc::Status::CANCELLED;
    }
    if (request->name().empty()) {
      google::protobuf::Duration detail;
      detail.set_seconds(7);
      absl::Status status = absl::InvalidArgumentError("whom?");
      nearcall::SetDetail(&status, detail);
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "whom?", nearcall::EncodeRpcStatus(status));
    }
    ReturnTag(context);
    reply->set_message("Hello, " + request->name());
    return grpc::Status::OK;
  }
  grpc::Status Collect(grpc::ServerContext*, grpc::ServerReader<helloworld::HelloRequest>* reader,
                       helloworld::HelloReply* reply) override {
    helloworld::HelloRequest request;
    while (reader->Read(&request)) reply->set_message(reply->message() + request.name());
    return grpc::Status::OK;
  }
  grpc::Status Repeat(grpc::ServerContext*, const helloworld::HelloRequest* request,
                      grpc::ServerWriter<helloworld::HelloReply>* writer) override {
    helloworld::HelloReply reply;
    reply.set_message(request->name());
    for (int i = 0; i < 3; ++i) writer->Write(reply);
    return grpc::Status::OK;
  }
  grpc::Status Chat(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<helloworld::HelloReply, helloworld::HelloRequest>* stream) override {
    ReturnTag(context);
    helloworld::HelloRequest request;
    while (stream->Read(&request)) {
      helloworld::HelloReply reply;
      reply.set_message(request.name());
      stream->Write(reply);
    }
    return grpc::Status::OK;
  }
};

helloworld::HelloRequest Named(const std::string& name) {
  helloworld::HelloRequest request;
  request.set_name(name);
  return request;
}

std::string TryUnary(helloworld::Greeter::StubInterface* stub) {
  helloworld::HelloReply reply;
  grpc::ClientContext context;
  context.AddMetadata("tag", "value");
  grpc::Status status = stub->SayHello(&context, Named("you"), &reply);
  if (!status.ok() || reply.message() != "Hello, you") return "SayHello: " + status.error_message() + reply.message();
  const auto& initial = context.GetServerInitialMetadata();
  if (initial.count("tag") != 1 || initial.find("tag")->second != "value") return "no initial metadata";
  const auto& trailing = context.GetServerTrailingMetadata();
  if (trailing.count("tag-bin") != 1 || trailing.find("tag-bin")->second != grpc::string_ref("value\0", 6)) {
    return "no trailing metadata";
  }
  grpc::ClientContext failing;
  status = stub->SayHello(&failing, Named(""), &reply);
  absl::Status detailed;
  google::protobuf::Duration detail;
  if (status.error_code() != grpc::StatusCode::INVALID_ARGUMENT || status.error_message() != "whom?" ||
      !nearcall::DecodeRpcStatus(status.error_details(), &detailed).ok() || !nearcall::GetDetail(detailed, &detail) ||
      detail.seconds() != 7) {
    return "no detailed error: " + status.error_message();
  }
  grpc::ClientContext late;
  late.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  status = stub->SayHello(&late, Named("slow"), &reply);
  if (status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) return "no deadline: " + status.error_message();
  grpc::ClientContext cancelled;
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancelled.TryCancel();
  });
  status = stub->SayHello(&cancelled, Named("slow"), &reply);
  canceller.join();
  return status.error_code() == grpc::StatusCode::CANCELLED ? "" : "not cancelled: " + status.error_message();
}

std::string TryStreams(helloworld::Greeter::StubInterface* stub) {
  helloworld::HelloReply reply;
  grpc::ClientContext collecting, repeating, chatting;
  const auto writer = stub->Collect(&collecting, &reply);
  for (const char* name : {"a", "b", "c"}) writer->Write(Named(name));
  writer->WritesDone();
  if (!writer->Finish().ok() || reply.message() != "abc") return "Collect: " + reply.message();
  const auto reader = stub->Repeat(&repeating, Named("again"));
  int count = 0;
  while (reader->Read(&reply)) count += reply.message() == "again";
  if (!reader->Finish().ok() || count != 3) return "Repeat: " + std::to_string(count);
  chatting.AddMetadata("tag", "of a stream");
  const auto chat = stub->Chat(&chatting);
  for (const char* name : {"a", "b", "c"}) {
    if (!chat->Write(Named(name)) || !chat->Read(&reply) || reply.message() != name) return "Chat: " + reply.message();
  }
  chat->WritesDone();
  if (chat->Read(&reply) || !chat->Finish().ok()) return "Chat has no end";
  const auto& initial = chatting.GetServerInitialMetadata();
  if (initial.count("tag") != 1 || initial.find("tag")->second != "of a stream") return "Chat: no initial metadata";
  return chatting.GetServerTrailingMetadata().count("tag-bin") == 1 ? "" : "Chat: no trailing metadata";
}

}  // namespace

std::unique_ptr<helloworld::Greeter::Service> NewGreeterService() { return std::make_unique<Greeter>(); }
std::unique_ptr<grpc::Service> NewGrpcGreeter() { return NewGreeterService(); }

std::string TryStub(helloworld::Greeter::StubInterface* stub) {
  const std::string unary = TryUnary(stub);
  return unary.empty() ? TryStreams(stub) : unary;
}

std::string TryGrpcStub(std::shared_ptr<grpc::Channel> channel) {
  return TryStub(helloworld::Greeter::NewStub(channel).get());
}
