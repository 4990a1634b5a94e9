#ifndef NEARCALL_CODEGEN_POLICY_H_
#define NEARCALL_CODEGEN_POLICY_H_

#include <cstdint>
#include <string>

#include "google/protobuf/descriptor.h"

namespace nearcall {
namespace codegen {

// What a method's options say of it, of those that the runtime acts on: nearcall.method and idempotency_level.
struct Policy {
  bool one_way = false;
  bool idempotent = false;
  int64_t timeout_ns = 0;  // 0: none

  bool IsDefault() const { return !one_way && !idempotent && timeout_ns == 0; }
};

// Reads the options of `method`. Returns what is wrong with them; empty when they are right, and *policy is then set.
std::string ReadPolicy(const google::protobuf::MethodDescriptor& method, Policy* policy);

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_POLICY_H_
