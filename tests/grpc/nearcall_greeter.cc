#include <thread>

#include "absl/synchronization/notification.h"
#include "google/protobuf/duration.pb.h"
#include "tests/codegen/testdata/greeter.nearcall.h"
#include "tests/grpc/greeters.h"

namespace {

void ReturnTag(nearcall::ServerContext* context) {
  if (const auto tag = context->client_metadata().Get("tag")) {
    context->AddInitialMetadata("tag", *tag);
    context->AddTrailingMetadata("tag-bin", std::string(*tag) + std::string(1, '\0'));
  }
}

class Greeter final : public helloworld::Greeter::Service {
  absl::Status SayHello(nearcall::ServerContext* context, const helloworld::HelloRequest* request,
                        helloworld::HelloReply* reply) override {
    if (request->name() == "slow") {
      absl::Notification cancelled;
      context->SetOnCancel([&cancelled] { cancelled.Notify(); });
      cancelled.WaitForNotification();
      return absl::CancelledError("nobody waits");
    }
    if (request->name().empty()) {
      google::protobuf::Duration detail;
      detail.set_seconds(7);
      absl::Status status = absl::InvalidArgumentError("whom?");
      nearcall::SetDetail(&status, detail);
      return status;
    }
    ReturnTag(context);
    reply->set_message("Hello, " + request->name());
    return absl::OkStatus();
  }
  absl::Status Collect(nearcall::ServerContext*, nearcall::ServerReader<helloworld::HelloRequest>* reader,
                       helloworld::HelloReply* reply) override {
    helloworld::HelloRequest request;
    while (reader->Read(&request)) reply->set_message(reply->message() + request.name());
    return absl::OkStatus();
  }
  absl::Status Repeat(nearcall::ServerContext*, const helloworld::HelloRequest* request,
                      nearcall::ServerWriter<helloworld::HelloReply>* writer) override {
    helloworld::HelloReply reply;
    reply.set_message(request->name());
    for (int i = 0; i < 3; ++i) writer->Write(reply);
    return absl::OkStatus();
  }
  absl::Status Chat(nearcall::ServerContext* context,
                    nearcall::ServerReaderWriter<helloworld::HelloReply, helloworld::HelloRequest>* stream) override {
    ReturnTag(context);
    helloworld::HelloRequest request;
    while (stream->Read(&request)) {
      helloworld::HelloReply reply;
      reply.set_message(request.name());
      stream->Write(reply);
    }
    return absl::OkStatus();
  }
};

helloworld::HelloRequest Named(const std::string& name) {
  helloworld::HelloRequest request;
  request.set_name(name);
  return request;
}

std::string TryUnary(helloworld::Greeter::Stub* stub) {
  helloworld::HelloReply reply;
  nearcall::ClientContext context;
  context.AddMetadata("tag", "value");
  absl::Status status = stub->SayHello(&context, Named("you"), &reply);
  if (!status.ok() || reply.message() != "Hello, you") return "SayHello: " + status.ToString() + reply.message();
  if (context.GetServerInitialMetadata().Get("tag").value_or("") != "value") return "no initial metadata";
  if (context.GetServerTrailingMetadata().Get("tag-bin").value_or("") != absl::string_view("value\0", 6)) {
    return "no trailing metadata";
  }
  nearcall::ClientContext failing;
  status = stub->SayHello(&failing, Named(""), &reply);
  google::protobuf::Duration detail;
  if (!absl::IsInvalidArgument(status) || status.message() != "whom?" || !nearcall::GetDetail(status, &detail) ||
      detail.seconds() != 7) {
    return "no detailed error: " + status.ToString();
  }
  nearcall::CallOptions late;
  late.timeout = absl::Milliseconds(50);
  status = stub->SayHello(Named("slow"), late).status();
  if (!absl::IsDeadlineExceeded(status)) return "no deadline: " + status.ToString();
  nearcall::ClientContext cancelled;
  std::thread canceller([&] {
    absl::SleepFor(absl::Milliseconds(20));
    cancelled.TryCancel();
  });
  status = stub->SayHello(&cancelled, Named("slow"), &reply);
  canceller.join();
  return absl::IsCancelled(status) ? "" : "not cancelled: " + status.ToString();
}

std::string TryStreams(helloworld::Greeter::Stub* stub) {
  helloworld::HelloReply reply;
  nearcall::ClientContext collecting, repeating, chatting;
  const auto writer = stub->Collect(&collecting, &reply);
  for (const char* name : {"a", "b", "c"}) writer->Write(Named(name));
  writer->WritesDone();
  if (!writer->Finish().ok() || reply.message() != "abc") return "Collect: " + reply.message();
  const auto reader = stub->Repeat(&repeating, Named("again"));
  int count = 0;
  while (reader->Read(&reply)) count += reply.message() == "again";
  if (!reader->Finish().ok() || count != 3) return "Repeat: " + std::to_string(count);
  const auto chat = stub->Chat(&chatting);
  for (const char* name : {"a", "b", "c"}) {
    if (!chat->Write(Named(name)) || !chat->Read(&reply) || reply.message() != name) return "Chat: " + reply.message();
  }
  chat->WritesDone();
  return !chat->Read(&reply) && chat->Finish().ok() ? "" : "Chat has no end";
}

}  // namespace

std::unique_ptr<nearcall::Service> NewNearcallGreeter() { return std::make_unique<Greeter>(); }

std::string TryNearcallStub(std::shared_ptr<nearcall::Channel> channel) {
  const auto stub = helloworld::Greeter::NewStub(channel);
  const std::string unary = TryUnary(stub.get());
  return unary.empty() ? TryStreams(stub.get()) : unary;
}
