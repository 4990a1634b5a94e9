#include "runtime/engine/transport.h"

#include <map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"

namespace nearcall {
namespace {

struct Registry {
  absl::Mutex mu;
  std::map<std::string, Transport*> transports ABSL_GUARDED_BY(mu);
};

Registry& TheRegistry() {
  static Registry* const registry = new Registry;
  return *registry;
}

std::string KnownSchemes(const std::map<std::string, Transport*>& transports) {
  return absl::StrJoin(transports, ", ",
                       [](std::string* out, const auto& entry) { absl::StrAppend(out, entry.first, ":"); });
}

}  // namespace

absl::StatusOr<Address> ParseAddress(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", text, "\" has no scheme: write for example local:", text.empty() ? "NAME" : text));
  }
  if (colon + 1 == text.size()) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", text, "\" has nothing after its scheme"));
  }
  return Address{text, text.substr(0, colon), text.substr(colon + 1)};
}

TransportRegistration::TransportRegistration(const std::string& scheme, Transport* transport) {
  Registry& registry = TheRegistry();
  absl::MutexLock lock(&registry.mu);
  registry.transports.emplace(scheme, transport);
}

absl::StatusOr<Transport*> FindTransport(const Address& address) {
  Registry& registry = TheRegistry();
  absl::MutexLock lock(&registry.mu);
  const auto at = registry.transports.find(address.scheme);
  if (at != registry.transports.end()) return at->second;
  return absl::InvalidArgumentError(absl::StrCat("address \"", address.text, "\" has the unknown scheme \"",
                                                 address.scheme, "\"; this program knows ",
                                                 KnownSchemes(registry.transports)));
}

}  // namespace nearcall
