#include "runtime/engine/server_core.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nearcall/internal/cancel_notice.h"
#include "nearcall/internal/context_access.h"

namespace nearcall {
namespace {

// Tells a handler that its call was cancelled.
class CancelTeller final : public Runnable {
 public:
  explicit CancelTeller(std::shared_ptr<internal::CancelNotice> notice) : notice_(std::move(notice)) {}
  void RunOnWorker() override {
    notice_->Tell();
    delete this;
  }

 private:
  const std::shared_ptr<internal::CancelNotice> notice_;
};

}  // namespace

absl::Status ServerCore::AddService(const Service& service,
                                    absl::FunctionRef<internal::MethodHandler*(const Service::Entry&)> handler_of) {
  for (const Service::Entry& entry : service.entries()) {
    auto method = std::make_unique<ServedMethod>();
    method->name = std::string(entry.method->name());
    method->type = entry.method->type();
    method->handler = handler_of(entry);
    std::string name = method->name;
    if (!methods_.emplace(std::move(name), std::move(method)).second) {
      return absl::AlreadyExistsError(
          absl::StrCat("two services of this server have the method ", entry.method->name()));
    }
  }
  return absl::OkStatus();
}

void ServerCore::SetGenericHandler(internal::MethodHandler* handler) {
  generic_method_ = std::make_unique<ServedMethod>();
  generic_method_->type = internal::MethodType::kBidiStreaming;
  generic_method_->handler = handler;
}

ServedMethod* ServerCore::FindMethod(absl::string_view name) const {
  const auto at = methods_.find(name);
  return at == methods_.end() ? nullptr : at->second.get();
}

void ServerCore::AddConnection(std::shared_ptr<ServerConnection> connection) {
  // First the task, so that the connection is known before the reactor first polls it.
  reactor_.Post([this, connection] {
    connections_.insert(connection.get());
    if (draining_) connection->BeginDrain();
  });
  reactor_.Add(std::move(connection));
}

void ServerCore::TellHandler(ServerContext* context) {
  if (std::shared_ptr<internal::CancelNotice> notice = internal::ServerContextAccess::cancel_notice(context)) {
    workers_.SubmitErrand(new CancelTeller(std::move(notice)));
  }
}

void ServerCore::BeginDrain(std::function<void(bool)> on_idle) {
  draining_ = true;
  on_idle_ = std::move(on_idle);
  for (ServerConnection* connection : connections_) connection->BeginDrain();
  CheckIdle();
}

void ServerCore::CancelCalls() {
  for (ServerConnection* connection : connections_) connection->CancelCalls();
}

}  // namespace nearcall
