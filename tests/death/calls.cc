#include "tests/death/calls.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "protos/testing/test_service.nearcall.h"
#include "runtime/base/fd.h"
#include "tests/death/breakpoints.h"
#include "tests/testing/roles.h"

namespace nearcall::testing {
namespace {

constexpr size_t kSmallSize = 100;
constexpr size_t kLargeSize = 3'500'000;
constexpr size_t kAttachedSize = 20'000;
constexpr size_t kStreamSizes[] = {100, 150'000, 100};

std::string Text(size_t size, int number) { return std::string(size, static_cast<char>('a' + number % 26)); }

Buffer Filled(Buffer buffer, int number) {
  std::memset(buffer.mutable_data(), 'a' + number % 26, buffer.size());
  return buffer;
}
bool IsFilled(const Buffer& buffer, int number) { return buffer.view() == Text(kAttachedSize, number); }

class CountedService final : public TestService::Service {
 public:
  explicit CountedService(Notebook* notebook) : notebook_(notebook) {}

  // What is attached comes back, too: in memory of our own, so that there are loans both ways.
  absl::Status Echo(ServerContext* context, const Payload* request, Payload* response) override {
    ++notebook_->begun[request->number()];
    *response = *request;
    const auto number = static_cast<int>(request->number());
    for (const Buffer& buffer : context->attachments()) {
      if (!IsFilled(buffer, number)) return absl::DataLossError("an attached buffer came changed");
      absl::StatusOr<Buffer> own = context->AllocateBuffer(buffer.size());
      if (!own.ok()) return own.status();
      context->Attach(Filled(*own, number));
    }
    for (size_t i = 0; i < context->attached_fd_count(); ++i) {
      const Fd fd(context->TakeAttachedFd(i));
      context->AttachFd(fd.get());
    }
    ++notebook_->ended[request->number()];
    return absl::OkStatus();
  }

  absl::Status Chat(ServerContext*, ServerReaderWriter<Payload, Payload>* stream) override {
    Payload message;
    if (!stream->Read(&message)) return absl::CancelledError("nothing came");
    const int64_t number = message.number();
    ++notebook_->begun[number];
    bool open = true;
    do {
      open = stream->Write(message);
    } while (open && stream->Read(&message));
    ++notebook_->ended[number];
    return open ? absl::OkStatus() : absl::CancelledError("the reader is gone");
  }

 private:
  Notebook* const notebook_;
};

Outcome MakeUnary(TestService::Stub* stub, ClientContext* context, size_t size, int number) {
  Payload request, response;
  request.set_number(number);
  request.set_data(Text(size, number));
  Outcome outcome;
  outcome.status = stub->Echo(context, request, &response);
  if (outcome.status.ok()) outcome.right = response.number() == number && response.data() == request.data();
  return outcome;
}

// Some memory that can be lent, and some that is copied.
Outcome MakeAttached(TestService::Stub* stub, Channel* channel, ClientContext* context, int number) {
  const absl::StatusOr<Buffer> shared = channel->AllocateBuffer(kAttachedSize);
  if (!shared.ok()) return {shared.status()};
  context->Attach(Filled(*shared, number));
  context->Attach(Filled(Buffer(kAttachedSize), number));
  const bool with_fd = absl::StartsWith(channel->address(), "shm:") || absl::StartsWith(channel->address(), "unix:");
  if (with_fd) context->AttachFd(STDERR_FILENO);
  Outcome outcome = MakeUnary(stub, context, kSmallSize, number);
  if (!outcome.status.ok()) return outcome;
  outcome.right =
      outcome.right && context->attachments().size() == 2 && context->attached_fd_count() == (with_fd ? 1 : 0);
  for (const Buffer& buffer : context->attachments()) outcome.right = outcome.right && IsFilled(buffer, number);
  return outcome;
}

Outcome MakeStream(TestService::Stub* stub, ClientContext* context, int number) {
  const auto stream = stub->Chat(context);
  Outcome outcome;
  Payload request, response;
  request.set_number(number);
  bool complete = true;
  for (const size_t size : kStreamSizes) {
    request.set_data(Text(size, number));
    complete = stream->Write(request) && stream->Read(&response);
    if (!complete) break;
    outcome.right = outcome.right && response.number() == number && response.data() == request.data();
  }
  complete = complete && stream->WritesDone();
  if (complete && stream->Read(&response)) outcome.right = false;  // more than was asked for
  outcome.status = stream->Finish();
  if (outcome.status.ok() && !complete) outcome.right = false;
  return outcome;
}

std::vector<std::string> StepsOf(const std::string& name) {
  return name == "all" ? AllSteps() : std::vector<std::string>{name};
}

// Obeys until it is told `last`, or nothing more.
bool Obey(Parent* parent, Notebook* notebook, const std::string& last) {
  for (;;) {
    const std::string order = parent->Hear();
    if (order.empty()) return false;
    if (order == last) return true;
    const std::vector<std::string> words = absl::StrSplit(order, ' ');
    BreakAt(StepsOf(words.at(1)), static_cast<Strike>(atoi(words.at(2).c_str())), notebook);
    parent->Tell("ok");
  }
}

int ServeCounted(const std::vector<std::string>& arguments, Parent* parent) {
  Notebook* const notebook = Notebook::Open(arguments.at(1));
  BreakAt({}, Strike::kNote, notebook);  // what it needs is there from the beginning
  CountedServer server(arguments.at(0), notebook);
  parent->Tell(absl::StrCat("ready ", server.address()));
  if (Obey(parent, notebook, "drain")) {
    server.server()->Shutdown();
    parent->Tell("drained");
  }
  _exit(0);
}

int CallCounted(const std::vector<std::string>& arguments, Parent* parent) {
  Notebook* const notebook = Notebook::Open(arguments.at(1));
  const auto call = static_cast<Call>(atoi(arguments.at(2).c_str()));
  std::shared_ptr<Channel> channel = CreateChannel(arguments.at(0));
  if (call != Call::kConnect) channel->WaitForConnected(absl::InfiniteFuture());
  parent->Tell("ready");
  if (!Obey(parent, notebook, "go")) return 1;
  const Outcome outcome = Make(call, channel, atoi(arguments.at(3).c_str()));
  channel = nullptr;
  parent->Tell(absl::StrCat(outcome.right ? "" : "wrong ", outcome.status.ToString()));
  parent->Hear();
  return 0;
}

const RoleRegistration server_role("counted_server", &ServeCounted);
const RoleRegistration client_role("counted_client", &CallCounted);

}  // namespace

const char* NameOf(Call call) {
  switch (call) {
    case Call::kSmall:
      return "small";
    case Call::kLarge:
      return "large";
    case Call::kStream:
      return "stream";
    case Call::kConnect:
      return "connect";
    case Call::kAttached:
      return "attached";
  }
  return "";
}

Outcome Make(Call call, const std::shared_ptr<Channel>& channel, int number, absl::Duration timeout,
             bool wait_for_ready) {
  const auto stub = TestService::NewStub(channel);
  ClientContext context;
  if (timeout != absl::InfiniteDuration()) context.set_timeout(timeout);
  context.set_wait_for_ready(wait_for_ready);
  if (call == Call::kStream) return MakeStream(stub.get(), &context, number);
  if (call == Call::kAttached) return MakeAttached(stub.get(), channel.get(), &context, number);
  return MakeUnary(stub.get(), &context, call == Call::kLarge ? kLargeSize : kSmallSize, number);
}

CountedServer::CountedServer(const std::string& address, Notebook* notebook)
    : service_(std::make_unique<CountedService>(notebook)) {
  ServerBuilder builder;
  builder.AddListeningPort(address);
  builder.RegisterService(service_.get());
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    fprintf(stderr, "cannot serve: %s\n", server.status().ToString().c_str());
    abort();
  }
  server_ = *std::move(server);
}

CountedServer::~CountedServer() = default;

}  // namespace nearcall::testing
