#include "tests/testing/test_server.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/testing/process.h"
#include "tests/testing/roles.h"

namespace nearcall::testing {
namespace {

class LocalServer final : public TestServer {
 public:
  explicit LocalServer(Form form) : services_(MakeServices(form)) {}
  static absl::StatusOr<std::unique_ptr<TestServer>> Start(const std::vector<std::string>& addresses,
                                                           const ServerOptions& options, Form form) {
    auto self = std::make_unique<LocalServer>(form);
    ServerBuilder builder;
    builder.SetOptions(options);
    for (const std::unique_ptr<Service>& service : self->services_) builder.RegisterService(service.get());
    for (const std::string& address : addresses) builder.AddListeningPort(address);
    absl::StatusOr<std::unique_ptr<Server>> server = builder.BuildAndStart();
    if (!server.ok()) return server.status();
    self->server_ = *std::move(server);
    self->addresses_ = self->server_->addresses();
    return std::unique_ptr<TestServer>(std::move(self));
  }

  void Shutdown() override { server_->Shutdown(); }
  void Shutdown(absl::Duration grace) override { server_->Shutdown(absl::Now() + grace); }
  pid_t pid() const override { return getpid(); }
  void Kill() override { abort(); }

 private:
  const std::vector<std::unique_ptr<Service>> services_;
  std::unique_ptr<Server> server_;
};

class RemoteServer final : public TestServer {
 public:
  static absl::StatusOr<std::unique_ptr<TestServer>> Start(const std::vector<std::string>& addresses,
                                                           const ServerOptions& options, Form form) {
    std::vector<std::string> arguments = {form == Form::kReactors ? "reactors" : "blocking", EncodeOptions(options)};
    arguments.insert(arguments.end(), addresses.begin(), addresses.end());
    auto self = std::make_unique<RemoteServer>();
    self->process_ = Process::Start("server", arguments);
    std::vector<std::string> words = absl::StrSplit(self->process_->Hear(), ' ');
    if (words[0] != "ready") return absl::UnknownError(absl::StrJoin(words, " "));
    words.erase(words.begin());
    self->addresses_ = std::move(words);
    return std::unique_ptr<TestServer>(std::move(self));
  }

  void Shutdown() override { Order("shutdown"); }
  void Shutdown(absl::Duration grace) override { Order(absl::StrCat("shutdown ", absl::ToInt64Milliseconds(grace))); }
  pid_t pid() const override { return process_->pid(); }
  void Kill() override {
    process_->Signal(SIGKILL);
    process_->Wait();
  }

 private:
  void Order(const std::string& order) {
    process_->Tell(order);
    if (process_->Hear() != "done") abort();
  }

  std::unique_ptr<Process> process_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TestServer>> TestServer::Start(Where where, const std::vector<std::string>& addresses,
                                                              const ServerOptions& options, Form form) {
  return where == Where::kThisProcess ? LocalServer::Start(addresses, options, form)
                                      : RemoteServer::Start(addresses, options, form);
}

}  // namespace nearcall::testing
