#include "absl/strings/str_cat.h"
#include "codegen/emit.h"

namespace nearcall {
namespace codegen {

void EmitMock(const Service& service, Writer* out) {
  out->Print(
      "class $mock$ : public $name$::StubInterface {\n"
      " public:\n",
      {{"mock", service.mock_name}, {"name", service.name}});
  out->Indent();
  for (const Method& method : service.methods) {
    std::vector<std::string> arguments = ClientParameters(method);
    arguments.front() = absl::StrCat("(", arguments.front());
    arguments.back() += ')';
    arguments.push_back("(override)");
    if (method.kind == Method::kUnary) {
      out->Print("using StubInterface::$name$;\n", {{"name", method.name}});
      arguments.insert(arguments.begin(), {"::absl::Status", method.name});
    } else {
      const std::string result = absl::StrCat("(", ClientStream(method, "Interface"), "*)");
      arguments.insert(arguments.begin(), {result, method.raw_name});
    }
    out->List("MOCK_METHOD(", arguments, ");");
  }
  out->Print("MOCK_METHOD(async_interface*, async, (), (override));\n");
  out->Outdent();
  out->Print("};\n\n");
}

}  // namespace codegen
}  // namespace nearcall
