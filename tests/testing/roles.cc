#include "tests/testing/roles.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/testing/services.h"

namespace nearcall::testing {
namespace {

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
  return options;
}

int Serve(const std::vector<std::string>& arguments, Parent* parent) {
  const std::vector<std::unique_ptr<Service>> services = MakeServices();
  ServerBuilder builder;
  builder.SetOptions(DecodeOptions(arguments.at(0)));
  for (const std::unique_ptr<Service>& service : services) builder.RegisterService(service.get());
  for (size_t i = 1; i < arguments.size(); ++i) builder.AddListeningPort(arguments[i]);
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
  parent->Tell(stub->Block(request).status().ToString());
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
  return absl::StrJoin({options.max_receive_message_bytes, options.max_send_message_bytes, int{options.allow_remote},
                        int{options.allow_shared_memory}, int{options.allow_other_users},
                        options.max_concurrent_calls_per_connection, static_cast<int>(options.spin)},
                       ",");
}

int RunRole(const std::string& role, const std::vector<std::string>& arguments, Parent* parent) {
  if (role == "server") return Serve(arguments, parent);
  if (role == "blocker") return Block(arguments, parent);
  if (role == "inspector") return Inspect(arguments, parent);
  return 2;
}

}  // namespace nearcall::testing
