#include "nearcall/generic.h"

#include <utility>

#include "nearcall/internal/method.h"

namespace nearcall {

struct GenericStub::NamedMethod {
  NamedMethod(absl::string_view text, internal::MethodType type, bool numbered)
      : name(text),
        method(name.c_str(), type, internal::MethodTraits(),
               numbered ? internal::Numbering::kOnFirstUse : internal::Numbering::kNone) {}
  const std::string name;
  const internal::Method method;
};

std::shared_ptr<const GenericStub::NamedMethod> GenericStub::Find(absl::string_view name, bool unary) {
  const internal::MethodType type = unary ? internal::MethodType::kUnary : internal::MethodType::kBidiStreaming;
  internal::MutexLock lock(&mu_);
  auto& methods = methods_[unary ? 1 : 0];
  const auto at = methods.find(name);
  if (at != methods.end()) return at->second;
  const bool remember = methods.size() < kMaxRemembered;
  auto method = std::make_shared<const NamedMethod>(name, type, remember);
  if (remember) methods.emplace(method->name, method);
  return method;
}

absl::Status GenericStub::UnaryCall(ClientContext* context, absl::string_view method, const std::string& request,
                                    std::string* response) {
  const std::shared_ptr<const NamedMethod> named = Find(method, /*unary=*/true);
  return channel_->UnaryCall(named->method, context, internal::OutMessage(request), internal::InMessage(response));
}

void GenericStub::UnaryCallAsync(ClientContext* context, absl::string_view method, const std::string* request,
                                 std::string* response, std::function<void(absl::Status)> done) {
  std::shared_ptr<const NamedMethod> named = Find(method, /*unary=*/true);
  const internal::Method& used = named->method;
  channel_->UnaryCallAsync(
      used, context, internal::OutMessage(*request), internal::InMessage(response),
      [named = std::move(named), done = std::move(done)](absl::Status status) { done(std::move(status)); });
}

std::unique_ptr<ClientGenericReaderWriter> GenericStub::Call(ClientContext* context, absl::string_view method) {
  return std::make_unique<ClientGenericReaderWriter>(channel_.get(), Find(method, /*unary=*/false)->method, context);
}

void GenericStub::PrepareCall(ClientContext* context, absl::string_view method, ClientGenericBidiReactor* reactor) {
  std::shared_ptr<const NamedMethod> named = Find(method, /*unary=*/false);
  const internal::Method* const used = &named->method;
  reactor->driver()->Bind(channel_, used, context, absl::nullopt, absl::nullopt, std::move(named));
}

}  // namespace nearcall
