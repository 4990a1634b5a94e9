#include "codegen/names.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace nearcall {
namespace codegen {

const char kInlineNamespace[] = "nearcall_stubs";
const char kAdapterNamespace[] = "nearcall_grpc";

bool IsKeyword(absl::string_view word) {
  static const auto* const keywords = new std::set<absl::string_view>{
      "alignas",     "alignof",  "and",        "and_eq",    "asm",       "auto",         "bitand",
      "bitor",       "bool",     "break",      "case",      "catch",     "char",         "char16_t",
      "char32_t",    "char8_t",  "class",      "co_await",  "co_return", "co_yield",     "compl",
      "concept",     "const",    "const_cast", "consteval", "constexpr", "constinit",    "continue",
      "decltype",    "default",  "delete",     "do",        "double",    "dynamic_cast", "else",
      "enum",        "explicit", "export",     "extern",    "false",     "float",        "for",
      "friend",      "goto",     "if",         "inline",    "int",       "long",         "mutable",
      "namespace",   "new",      "noexcept",   "not",       "not_eq",    "nullptr",      "operator",
      "or",          "or_eq",    "private",    "protected", "public",    "register",     "reinterpret_cast",
      "requires",    "return",   "short",      "signed",    "sizeof",    "static",       "static_assert",
      "static_cast", "struct",   "switch",     "template",  "this",      "thread_local", "throw",
      "true",        "try",      "typedef",    "typeid",    "typename",  "union",        "unsigned",
      "using",       "virtual",  "void",       "volatile",  "wchar_t",   "while",        "xor",
      "xor_eq"};
  return keywords->count(word) != 0;
}

bool IsReservedWord(absl::string_view word) {
  // Those of the standard headers, and those that GNU dialects predefine.
  static const auto* const macros = new std::set<absl::string_view>{"EOF", "NULL", "assert", "errno", "linux", "unix"};
  return IsKeyword(word) || macros->count(word) != 0;
}

std::string Escape(const std::string& name, const std::set<std::string>& taken) {
  std::string escaped = name;
  while (IsReservedWord(escaped) || taken.count(escaped) != 0) escaped += '_';
  return escaped;
}

std::set<std::string> MemberNames(const google::protobuf::ServiceDescriptor& service) {
  return {// The generated classes, which a method would hide or be a
          // constructor of, and their members.
          "NewStub", "Service", "CallbackService", "Stub", "StubInterface", "service_full_name", "async",
          "async_interface", "async_stub", "async_stub_", "channel_", absl::StrCat("Mock", service.name(), "Stub"),
          // nearcall::Service's own.
          "AddMethod", "entries"};
}

std::set<std::string> ClassNames() {
  return {// A class cannot have a member of its own name.
          "NewStub", "Service", "CallbackService", "Stub", "StubInterface", "service_full_name",
          // The namespaces that generated code and GoogleMock's macros name:
          // where there is no package, or without `::`.
          "absl", "google", "nearcall", "std", "testing", kInlineNamespace};
}

std::set<std::string> AdapterNames() { return {"NewStub", "NewService", "Stub", "Server"}; }

std::string Mangle(absl::string_view text) {
  std::string mangled;
  for (const char c : text) {
    if (absl::ascii_isalnum(c)) {
      mangled += c;
    } else {
      absl::StrAppend(&mangled, "_", absl::Hex(static_cast<unsigned char>(c)));
    }
  }
  return mangled;
}

}  // namespace codegen
}  // namespace nearcall
