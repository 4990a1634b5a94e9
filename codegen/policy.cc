#include "codegen/policy.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/empty.pb.h"
#include "nearcall/options.pb.h"

namespace nearcall {
namespace codegen {
namespace {

using google::protobuf::MethodOptions;

constexpr int64_t kNanosPerSecond = 1000 * 1000 * 1000;
// More is a mistake of units, and no deadline that anybody waits for.
constexpr int64_t kMaxTimeoutSeconds = int64_t{365} * 24 * 3600;

std::string ReadTimeout(const google::protobuf::Duration& timeout, int64_t* nanos) {
  const bool in_range = timeout.seconds() >= 0 && timeout.seconds() <= kMaxTimeoutSeconds && timeout.nanos() >= 0 &&
                        timeout.nanos() < kNanosPerSecond;
  *nanos = in_range ? timeout.seconds() * kNanosPerSecond + timeout.nanos() : 0;
  if (*nanos > 0 && *nanos <= kMaxTimeoutSeconds * kNanosPerSecond) return "";
  return absl::StrCat(
      "default_timeout must be more than 0 and at most 365 days, with nanos from 0 to 999999999, not { ",
      "seconds: ", timeout.seconds(), " nanos: ", timeout.nanos(), " }");
}

}  // namespace

std::string ReadPolicy(const google::protobuf::MethodDescriptor& method, Policy* policy) {
  const MethodOptions& options = method.options();
  const MethodPolicy& said = options.GetExtension(nearcall::method);
  policy->one_way = said.one_way();
  policy->idempotent = said.idempotent() || options.idempotency_level() == MethodOptions::IDEMPOTENT ||
                       options.idempotency_level() == MethodOptions::NO_SIDE_EFFECTS;
  if (said.one_way()) {
    if (method.client_streaming() || method.server_streaming()) return "one_way is for methods without streams";
    if (method.output_type()->full_name() != google::protobuf::Empty::descriptor()->full_name()) {
      return absl::StrCat("one_way is for methods that return google.protobuf.Empty, not ",
                          method.output_type()->full_name());
    }
  }
  return said.has_default_timeout() ? ReadTimeout(said.default_timeout(), &policy->timeout_ns) : "";
}

}  // namespace codegen
}  // namespace nearcall
