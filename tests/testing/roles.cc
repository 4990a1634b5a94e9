#include "tests/testing/roles.h"

#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/testing/services.h"

namespace nearcall::testing {
namespace {

// Filled before main, read after.
std::map<std::string, RoleRegistration::Play>& Roles() {
  static auto* const roles = new std::map<std::string, RoleRegistration::Play>;
  return *roles;
}

ServerOptions DecodeOptions(const std::string& text) {
  const std::vector<std::string> fields = absl::StrSplit(text, ',');
  ServerOptions options;
  options.max_receive_message_bytes = atoi(fields.at(0).c_str());
  options.max_send_message_bytes = atoi(fields.at(1).c_str());
  options.allow_remote = fields.at(2) == "1";
  options.allow_shared_memory = fields.at(3) == "1";
  options.allow_other_users = fields.at(4) == "1";
  options.max_concurrent_calls_per_connection = atoi(fields.at(5).c_str());
  options.spin = static_cast<Spin>(atoi(fields.at(6).c_str()));
  options.stream_window_bytes = atoi(fields.at(7).c_str());
  options.max_buffered_bytes_per_connection = atoll(fields.at(8).c_str());
  options.max_mapped_bytes_per_connection = atoll(fields.at(9).c_str());
  options.max_attached_fds_per_connection = atoi(fields.at(10).c_str());
  options.max_attached_fds_per_user = atoi(fields.at(11).c_str());
  options.max_attached_fds = atoi(fields.at(12).c_str());
  options.max_buffered_bytes_per_user = atoll(fields.at(13).c_str());
  options.max_backlog_bytes = atoi(fields.at(14).c_str());
  options.handshake_timeout = absl::Milliseconds(atoll(fields.at(15).c_str()));
  options.max_buffered_bytes = atoll(fields.at(16).c_str());
  return options;
}

int Serve(const std::vector<std::string>& arguments, Parent* parent) {
  const std::vector<std::unique_ptr<Service>> services =
      MakeServices(arguments.at(0) == "reactors" ? Form::kReactors : Form::kBlocking);
  ServerBuilder builder;
  builder.SetOptions(DecodeOptions(arguments.at(1)));
  for (const std::unique_ptr<Service>& service : services) builder.RegisterService(service.get());
  for (size_t i = 2; i < arguments.size(); ++i) builder.AddListeningPort(arguments[i]);
  absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
  if (!server.ok()) {
    parent->Tell(absl::StrCat("failed ", server.status().ToString()));
    return 1;
  }
  parent->Tell(absl::StrCat("ready ", absl::StrJoin((*server)->addresses(), " ")));
  for (;;) {
    const std::string order = parent->Hear();
    if (order.empty()) _exit(0);  // the parent is gone, or has had enough
    const std::vector<std::string> words = absl::StrSplit(order, ' ');
    if (words[0] != "shutdown") abort();
    if (words.size() == 1) {
      (*server)->Shutdown();
    } else {
      (*server)->Shutdown(absl::Now() + absl::Milliseconds(atoi(words[1].c_str())));
    }
    parent->Tell("done");
  }
}

int Block(const std::vector<std::string>& arguments, Parent* parent) {
  const auto stub = TestService::NewStub(CreateChannel(arguments.at(0)));
  GateRequest request;
  request.set_gate(arguments.at(1));
  CallOptions options;
  if (arguments.size() > 2) options.timeout = absl::Milliseconds(atoi(arguments[2].c_str()));
  parent->Tell(stub->Block(request, options).status().ToString());
  return 0;
}

class EndlessReader final : public ClientReadReactor<Payload> {
 public:
  EndlessReader(TestService::Stub* stub, const std::string& gate, absl::BlockingCounter* begun,
                absl::BlockingCounter* over)
      : begun_(begun), over_(over) {
    request_.set_gate(gate);
    request_.set_count(int64_t{1} << 40);
    request_.set_size(10'000);
    stub->async()->Down(&context_, &request_, this);
    StartRead(&message_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (std::exchange(first_, false)) begun_->DecrementCount();
    if (ok) StartRead(&message_);
  }
  void OnDone(const absl::Status&) override { over_->DecrementCount(); }

 private:
  absl::BlockingCounter* const begun_;
  absl::BlockingCounter* const over_;
  ClientContext context_;
  DownRequest request_;
  Payload message_;
  bool first_ = true;
};

int Read(const std::vector<std::string>& arguments, Parent* parent) {
  const auto stub = TestService::NewStub(CreateChannel(arguments.at(0)));
  const int count = atoi(arguments.at(2).c_str());
  absl::BlockingCounter begun(count), over(count);
  std::vector<std::unique_ptr<EndlessReader>> readers;
  for (int i = 0; i < count; ++i) {
    readers.push_back(std::make_unique<EndlessReader>(stub.get(), arguments.at(1), &begun, &over));
  }
  begun.Wait();
  parent->Tell("reading");
  if (parent->Hear().empty()) return 1;
  for (const auto& reader : readers) reader->TryCancel();
  over.Wait();
  parent->Tell("done");
  parent->Hear();
  return 0;
}

int Inspect(const std::vector<std::string>& arguments, Parent* parent) {
  const auto stub = TestService::NewStub(CreateChannel(arguments.at(0)));
  const absl::StatusOr<CallInfo> info = stub->Inspect(InspectRequest());
  if (info.ok()) {
    parent->Tell(absl::StrCat(info->transport(), " ", info->uid(), " ", info->pid()));
  } else {
    parent->Tell(info.status().ToString());
  }
  parent->Hear();
  return 0;
}

}  // namespace

std::string EncodeOptions(const ServerOptions& options) {
  return absl::StrJoin(
      std::initializer_list<int64_t>{
          options.max_receive_message_bytes, options.max_send_message_bytes, int{options.allow_remote},
          int{options.allow_shared_memory}, int{options.allow_other_users}, options.max_concurrent_calls_per_connection,
          static_cast<int>(options.spin), options.stream_window_bytes, options.max_buffered_bytes_per_connection,
          options.max_mapped_bytes_per_connection, options.max_attached_fds_per_connection,
          options.max_attached_fds_per_user, options.max_attached_fds, options.max_buffered_bytes_per_user,
          options.max_backlog_bytes, absl::ToInt64Milliseconds(options.handshake_timeout), options.max_buffered_bytes},
      ",");
}

int RunRole(const std::string& role, const std::vector<std::string>& arguments, Parent* parent) {
  if (role == "server") return Serve(arguments, parent);
  if (role == "blocker") return Block(arguments, parent);
  if (role == "reader") return Read(arguments, parent);
  if (role == "inspector") return Inspect(arguments, parent);
  const auto at = Roles().find(role);
  return at == Roles().end() ? 2 : at->second(arguments, parent);
}

RoleRegistration::RoleRegistration(const std::string& role, Play play) { Roles()[role] = play; }

}  // namespace nearcall::testing
