#ifndef NEARCALL_INTERNAL_METHOD_H_
#define NEARCALL_INTERNAL_METHOD_H_

#include <atomic>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace nearcall {
namespace internal {

enum class MethodType : uint8_t { kUnary, kClientStreaming, kServerStreaming, kBidiStreaming };

// What a method's options in the .proto say of it (nearcall/options.proto).
struct MethodTraits {
  bool one_way = false;     // nobody waits for the response
  bool idempotent = false;  // may run twice
  int64_t timeout_ns = 0;   // of calls whose caller sets no deadline; 0: none
};

// Whether connections know a method by a number after its first call, or by its name in every call.
enum class Numbering : uint8_t { kOnFirstUse, kNone };

// A method as a caller names it. Generated code keeps one static object a method, so that a connection sends the name
// once and a number from then on.
//
// Threads: thread-safe. `name` must outlive the object.
class Method {
 public:
  // `name` is "/package.Service/Method".
  constexpr Method(const char* name, MethodType type, MethodTraits traits = MethodTraits(),
                   Numbering numbering = Numbering::kOnFirstUse)
      : name_(name), traits_(traits), type_(type), number_(numbering == Numbering::kNone ? kUnnumbered : 0) {}
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  absl::string_view name() const { return name_; }
  MethodType type() const { return type_; }
  const MethodTraits& traits() const { return traits_; }

  // A small number, from 1, that is this object's own in this process; given on first use. kUnnumbered: it has none.
  static constexpr uint32_t kUnnumbered = UINT32_MAX;
  uint32_t number() const {
    const uint32_t number = number_.load(std::memory_order_relaxed);
    return number != 0 ? number : AssignNumber();
  }

 private:
  uint32_t AssignNumber() const;

  const char* name_;
  MethodTraits traits_;
  MethodType type_;
  mutable std::atomic<uint32_t> number_;  // relaxed: publishes nothing but itself
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_METHOD_H_
