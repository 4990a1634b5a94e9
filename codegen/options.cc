#include "codegen/options.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "codegen/names.h"
#include "google/protobuf/compiler/code_generator.h"

namespace nearcall {
namespace codegen {
namespace {

constexpr char kValidOptions[] =
    "valid options: generate_mock_code=true|false, "
    "generate_grpc_adapter=true|false, "
    "services_namespace=NAME[.NAME...]";

bool IsIdentifier(const std::string& text) {
  if (text.empty() || absl::ascii_isdigit(text[0])) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  }
  return !IsReservedWord(text);
}

// Sets `option` from `value`, or returns what the value should have been.
std::string Set(const std::string& option, const std::string& value, Options* options) {
  const std::map<std::string, bool*> switches = {{"generate_mock_code", &options->generate_mock_code},
                                                 {"generate_grpc_adapter", &options->generate_grpc_adapter}};
  if (const auto at = switches.find(option); at != switches.end()) {
    if (value != "true" && value != "false") return "must be true or false";
    *at->second = value == "true";
    return "";
  }
  if (option == "services_namespace") {
    options->services_namespace = absl::StrSplit(value, '.');
    for (const std::string& name : options->services_namespace) {
      if (!IsIdentifier(name)) return "must be a C++ namespace, such as rpc or local.rpc";
    }
    return "";
  }
  return "is not an option";
}

}  // namespace

bool ParseOptions(const std::string& parameter, Options* options, std::string* error) {
  std::vector<std::pair<std::string, std::string>> pairs;
  google::protobuf::compiler::ParseGeneratorParameter(parameter, &pairs);
  for (const auto& pair : pairs) {
    const std::string complaint = Set(pair.first, pair.second, options);
    if (complaint.empty()) continue;
    *error = absl::StrCat("nearcall option \"", pair.first, "\"", pair.second.empty() ? "" : " = \"", pair.second,
                          pair.second.empty() ? "" : "\"", " ", complaint, "; ", kValidOptions);
    return false;
  }
  return true;
}

}  // namespace codegen
}  // namespace nearcall
