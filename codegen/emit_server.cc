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

// The reactor that a method in callback form returns.
std::string Reactor(const Method& method) {
  switch (method.kind) {
    case Method::kUnary:
      return "::nearcall::ServerUnaryReactor";
    case Method::kClientStreaming:
      return absl::StrCat("::nearcall::ServerReadReactor<", method.request, ">");
    case Method::kServerStreaming:
      return absl::StrCat("::nearcall::ServerWriteReactor<", method.response, ">");
    case Method::kBidiStreaming:
      break;
  }
  return absl::StrCat("::nearcall::ServerBidiReactor<", method.request, ", ", method.response, ">");
}

std::vector<std::string> CallbackParameters(const Method& method, bool named) {
  const std::string context = Parameter("::nearcall::CallbackServerContext*", "context", named);
  const std::string request = Parameter(absl::StrCat("const ", method.request, "*"), "request", named);
  const std::string response = Parameter(absl::StrCat(method.response, "*"), "response", named);
  switch (method.kind) {
    case Method::kUnary:
      return {context, request, response};
    case Method::kClientStreaming:
      return {context, response};
    case Method::kServerStreaming:
      return {context, request};
    case Method::kBidiStreaming:
      break;
  }
  return {context};
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


// The constructor of a service class: what serves each method. `prefix` goes before the handlers' names.
void EmitRegistration(const Service& service, const char* class_name, const char* prefix, Writer* out) {
  const bool empty = service.methods.empty();
  out->Print(empty ? "$service$::$class$::$class$() = default;\n" : "$service$::$class$::$class$() {\n",
             {{"service", service.name}, {"class", class_name}});
  for (const Method& method : service.methods) {
    out->Print(
        "  AddMethod(&$constant$,\n"
        "            ::std::make_unique<::nearcall::internal::$prefix$$handler$<\n",
        {{"constant", method.constant}, {"prefix", prefix}, {"handler", HandlerName(method.kind)}});
    out->Indent(16);
    out->List("", {class_name, method.request, method.response, absl::StrCat("&", class_name, "::", method.name)},
              ">>(this));");
    out->Outdent(16);
  }
  if (!empty) out->Print("}\n");
  out->Print("\n$service$::$class$::~$class$() = default;\n\n", {{"service", service.name}, {"class", class_name}});
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
  out->Print(
      "};\n"
      "\n"
      "// The same in callback form: each method returns a reactor that finishes its call later.\n"
      "class CallbackService : public ::nearcall::Service {\n"
      " public:\n"
      "  CallbackService();\n"
      "  ~CallbackService() override;\n");
  out->Indent();
  if (!service.methods.empty()) out->Print("\n");
  for (const Method& method : service.methods) {
    out->List(absl::StrCat("virtual ", Reactor(method), "* ", method.name, "("),
              CallbackParameters(method, /*named=*/true), ");");
  }
  out->Outdent();
  out->Print("};\n");
}

void EmitServerDefinitions(const Service& service, Writer* out) {
  EmitRegistration(service, "Service", "", out);
  for (const Method& method : service.methods) {
    out->List(absl::StrCat("::absl::Status ", service.name, "::Service::", method.name, "("),
              ServerParameters(method, /*named=*/false), ") {");
    out->Print(
        "  return ::absl::UnimplementedError(\"$method$ is not "
        "implemented\");\n}\n\n",
        {{"method", method.wire_name}});
  }
  EmitRegistration(service, "CallbackService", "Callback", out);
  for (const Method& method : service.methods) {
    out->List(absl::StrCat(Reactor(method), "* ", service.name, "::CallbackService::", method.name, "("),
              CallbackParameters(method, /*named=*/false), ") {");
    out->Print("  return nullptr;\n}\n\n");
  }
}

}  // namespace codegen
}  // namespace nearcall
