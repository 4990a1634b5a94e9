#include "absl/strings/str_cat.h"
#include "codegen/emit.h"

namespace nearcall {
namespace codegen {
namespace {

// A parameter, named only where it is a declaration: the default implementations use none.
std::string Parameter(const std::string& type, const char* name, bool named) {
  return named ? absl::StrCat(type, " ", name) : absl::StrCat(type, " /*", name, "*/");
}

std::vector<std::string> ServerParameters(const Method& method, bool named) {
  const std::string context = Parameter("::nearcall::ServerContext*", "context", named);
  const std::string request = Parameter(absl::StrCat("const ", method.request, "*"), "request", named);
  const std::string response = Parameter(absl::StrCat(method.response, "*"), "response", named);
  switch (method.kind) {
    case Method::kUnary:
      return {context, request, response};
    case Method::kClientStreaming:
      return {context, Parameter(absl::StrCat("::nearcall::ServerReader<", method.request, ">*"), "reader", named),
              response};
    case Method::kServerStreaming:
      return {context, request,
              Parameter(absl::StrCat("::nearcall::ServerWriter<", method.response, ">*"), "writer", named)};
    case Method::kBidiStreaming:
      break;
  }
  const std::string stream =
      absl::StrCat("::nearcall::ServerReaderWriter<", method.response, ", ", method.request, ">*");
  return {context, Parameter(stream, "stream", named)};
}

const char* HandlerName(Method::Kind kind) {
  switch (kind) {
    case Method::kUnary:
      return "UnaryHandler";
    case Method::kClientStreaming:
      return "ClientStreamingHandler";
    case Method::kServerStreaming:
      return "ServerStreamingHandler";
    case Method::kBidiStreaming:
      break;
  }
  return "BidiStreamingHandler";
}

}  // namespace

void EmitServerClass(const Service& service, Writer* out) {
  out->Print(
      "// What servers derive from. Methods that are not overridden answer "
      "UNIMPLEMENTED.\n"
      "class Service : public ::nearcall::Service {\n"
      " public:\n"
      "  Service();\n"
      "  ~Service() override;\n");
  out->Indent();
  for (const Method& method : service.methods) {
    out->Print("\n");
    out->Comment(method.comments);
    out->List(absl::StrCat("virtual ::absl::Status ", method.name, "("), ServerParameters(method, /*named=*/true),
              ");");
  }
  out->Outdent();
  out->Print("};\n");
}

void EmitServerDefinitions(const Service& service, Writer* out) {
  if (service.methods.empty()) {
    out->Print("$name$::Service::Service() = default;\n", {{"name", service.name}});
  } else {
    out->Print("$name$::Service::Service() {\n", {{"name", service.name}});
  }
  for (const Method& method : service.methods) {
    out->Print(
        "  AddMethod(&$constant$,\n"
        "            ::std::make_unique<::nearcall::internal::$handler$<\n",
        {{"constant", method.constant}, {"handler", HandlerName(method.kind)}});
    out->Indent(16);
    out->List("", {"Service", method.request, method.response, absl::StrCat("&Service::", method.name)}, ">>(this));");
    out->Outdent(16);
  }
  if (!service.methods.empty()) out->Print("}\n");
  out->Print("\n$name$::Service::~Service() = default;\n\n", {{"name", service.name}});
  for (const Method& method : service.methods) {
    out->List(absl::StrCat("::absl::Status ", service.name, "::Service::", method.name, "("),
              ServerParameters(method, /*named=*/false), ") {");
    out->Print(
        "  return ::absl::UnimplementedError(\"$method$ is not "
        "implemented\");\n}\n\n",
        {{"method", method.wire_name}});
  }
}

}  // namespace codegen
}  // namespace nearcall
