#include "tests/testing/test_service.h"

#include <unistd.h>

#include <stdexcept>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "nearcall/internal/attachments.h"
#include "tests/testing/callback_test_service.h"
#include "tests/testing/services.h"

namespace nearcall::testing {
namespace {

const ServiceRegistration registration([](Form form) -> std::unique_ptr<Service> {
  if (form == Form::kReactors) return std::make_unique<CallbackTestService>();
  return std::make_unique<TestServiceImpl>();
});

}  // namespace

absl::Status TestServiceImpl::Echo(ServerContext*, const Payload* request, Payload* response) {
  *response = *request;
  return absl::OkStatus();
}

absl::Status TestServiceImpl::Produce(ServerContext*, const Payload* request, Payload* response) {
  response->set_data(std::string(static_cast<size_t>(request->number()), 'p'));
  return absl::OkStatus();
}

absl::Status TestServiceImpl::Fail(ServerContext*, const FailRequest* request, Payload*) {
  absl::Status status(static_cast<absl::StatusCode>(request->code()), request->message());
  for (const Pair& pair : request->payloads()) status.SetPayload(pair.key(), absl::Cord(pair.value()));
  return status;
}

absl::Status TestServiceImpl::Throw(ServerContext*, const ThrowRequest* request, Payload*) {
  if (request->what().empty()) throw 42;
  throw std::runtime_error(request->what());
}

absl::Status TestServiceImpl::Inspect(ServerContext* context, const InspectRequest* request, CallInfo* response) {
  for (const Metadata::Pair& pair : context->client_metadata()) {
    Pair* const out = response->add_metadata();
    out->set_key(pair.first);
    out->set_value(pair.second);
  }
  response->set_transport(std::string(context->transport()));
  response->set_peer(context->peer());
  response->set_method(std::string(context->method()));
  if (context->deadline() != absl::InfiniteFuture()) {
    response->set_has_deadline(true);
    response->set_remaining_ns(absl::ToInt64Nanoseconds(context->deadline() - absl::Now()));
  }
  if (const auto& credentials = context->peer_info().credentials) {
    response->set_has_credentials(true);
    response->set_uid(credentials->uid);
    response->set_pid(credentials->pid);
  }
  response->set_server_pid(getpid());
  AddMetadata(context, request->initial(), request->trailing());
  return absl::Status(static_cast<absl::StatusCode>(request->code()), request->code() == 0 ? "" : "as asked");
}

absl::Status TestServiceImpl::Attach(ServerContext* context, const AttachRequest* request, AttachReply* response) {
  for (const Buffer& buffer : context->attachments()) {
    AttachReply::Buffer* const out = response->add_buffers();
    out->set_size(static_cast<int64_t>(buffer.size()));
    out->set_pattern(HasPattern(buffer));
    out->set_writable(buffer.mutable_data() != nullptr);
    if (request->give_back()) context->Attach(buffer);
  }
  for (size_t i = 0; i < context->attached_fd_count(); ++i) {
    const Fd fd(context->TakeAttachedFd(i));
    response->add_files(TextIn(fd.get()));
    if (request->give_back()) context->AttachFd(fd.get());
  }
  for (const int64_t size : request->sizes()) {
    absl::StatusOr<Buffer> buffer = context->AllocateBuffer(static_cast<size_t>(size));
    if (!buffer.ok()) return buffer.status();
    FillWithPattern(*buffer);
    context->Attach(*std::move(buffer));
  }
  for (int i = 0; i < request->files(); ++i) {
    const Fd fd = FileWith(absl::StrCat("file ", i));
    context->AttachFd(fd.get());
  }
  if (request->keep()) {
    absl::MutexLock lock(&kept_mu_);
    kept_ = context->attachments();
  }
  return absl::Status(static_cast<absl::StatusCode>(request->code()), request->code() == 0 ? "" : "as asked");
}

void TestServiceImpl::AddMetadata(ServerContext* context, const google::protobuf::RepeatedPtrField<Pair>& initial,
                                  const google::protobuf::RepeatedPtrField<Pair>& trailing) {
  for (const Pair& pair : initial) context->AddInitialMetadata(pair.key(), pair.value());
  for (const Pair& pair : trailing) context->AddTrailingMetadata(pair.key(), pair.value());
}

absl::Status TestServiceImpl::Block(ServerContext* context, const GateRequest* request, GateState* response) {
  *response = gates_.Pass(context, request->gate());
  return absl::OkStatus();
}

absl::Status TestServiceImpl::Open(ServerContext*, const GateRequest* request, GateState* response) {
  *response = gates_.Open(request->gate());
  return absl::OkStatus();
}

absl::Status TestServiceImpl::Look(ServerContext*, const GateRequest* request, GateState* response) {
  *response = gates_.Look(request->gate());
  return absl::OkStatus();
}

std::shared_ptr<Channel> TestServiceImpl::NextNest(const NestRequest& request, NestRequest* rest) {
  rest->set_gate(request.gate());
  for (int i = 1; i < request.addresses_size(); ++i) rest->add_addresses(request.addresses(i));
  absl::MutexLock lock(&mu_);
  std::shared_ptr<Channel>& known = channels_[request.addresses(0)];
  if (known == nullptr) known = CreateChannel(request.addresses(0));
  return known;
}

absl::Status TestServiceImpl::Nest(ServerContext* context, const NestRequest* request, NestReply* response) {
  if (!request->addresses().empty()) {
    NestRequest rest;
    const std::shared_ptr<Channel> channel = NextNest(*request, &rest);
    const std::unique_ptr<ClientContext> inner = ClientContext::FromServerContext(*context);
    absl::Status status = TestService::NewStub(channel)->Nest(inner.get(), rest, response);
    if (!status.ok()) return status;
  } else if (!request->gate().empty()) {
    gates_.Pass(context, request->gate());
  }
  response->add_pids(getpid());
  return absl::OkStatus();
}

absl::Status TestServiceImpl::Up(ServerContext*, ServerReader<Payload>* reader, Payload* response) {
  int64_t sum = 0, count = 0;
  Payload message;
  while (reader->Read(&message)) {
    sum += message.number();
    ++count;
  }
  response->set_number(sum);
  response->set_data(absl::StrCat(count));
  return absl::OkStatus();
}

absl::Status TestServiceImpl::Down(ServerContext* context, const DownRequest* request, ServerWriter<Payload>* writer) {
  AddMetadata(context, request->initial(), request->trailing());
  if (!request->initial().empty()) writer->SendInitialMetadata();
  Payload message;
  message.set_data(std::string(static_cast<size_t>(request->size()), 'd'));
  bool reader_gone = false;
  for (int64_t i = 0; i < request->count() && !reader_gone; ++i) {
    message.set_number(i);
    reader_gone = !writer->Write(message);
    if (!request->gate().empty() && !reader_gone) gates_.CountEntered(request->gate());
  }
  if (!request->gate().empty()) gates_.Leave(request->gate(), context->IsCancelled());
  return absl::Status(static_cast<absl::StatusCode>(request->code()), request->message());
}

absl::Status TestServiceImpl::Chat(ServerContext* context, ServerReaderWriter<Payload, Payload>* stream) {
  internal::PassAttachments(context, context);
  Payload message;
  while (stream->Read(&message)) {
    if (!stream->Write(message)) return absl::AbortedError("the reader is gone");
  }
  return absl::OkStatus();
}

absl::Status TestServiceImpl::BlockUp(ServerContext* context, ServerReader<Payload>* reader, Payload* response) {
  // The first message names the gate, the rest is read once it is open.
  Payload message;
  if (!reader->Read(&message)) return absl::InvalidArgumentError("no gate");
  gates_.Pass(context, message.data());
  int64_t count = 0;
  while (reader->Read(&message)) ++count;
  response->set_number(count);
  return absl::OkStatus();
}

absl::Status TestServiceImpl::HangUp(ServerContext*, ServerReaderWriter<Payload, Payload>* stream) {
  Payload message;
  if (!stream->Read(&message)) return absl::InvalidArgumentError("no code");
  return absl::Status(static_cast<absl::StatusCode>(message.number()), "hung up");
}

}  // namespace nearcall::testing
