#ifndef NEARCALL_CODEGEN_NAMES_H_
#define NEARCALL_CODEGEN_NAMES_H_

#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace nearcall {
namespace codegen {

// The inline namespace around everything that is generated. It keeps our
// symbols apart from gRPC's for the same service, so that one binary may link
// both.
extern const char kInlineNamespace[];

// The namespace, inside the others, of the adapters to gRPC's classes. Not an
// inline one: their names are gRPC's, too.
extern const char kAdapterNamespace[];

// Whether `word` is a keyword of C++ (up to C++20).
bool IsKeyword(absl::string_view word);

// Whether `word` is a keyword, or a macro of the usual headers.
bool IsReservedWord(absl::string_view word);

// `name`, with as many underscores appended as it takes to be neither a
// reserved word nor in `taken`. This is how protoc escapes the names of
// messages and fields (`delete_`).
std::string Escape(const std::string& name, const std::set<std::string>& taken);

// The names that a method may not have, because the generated classes of
// `service` and their bases use them.
std::set<std::string> MemberNames(const google::protobuf::ServiceDescriptor& service);

// The names that the class of a service may not have; and that its class of
// adapters may not.
std::set<std::string> ClassNames();
std::set<std::string> AdapterNames();

// `text` as a part of an identifier: what is not a letter or a digit becomes
// `_` and its code in hexadecimal.
std::string Mangle(absl::string_view text);

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_NAMES_H_
