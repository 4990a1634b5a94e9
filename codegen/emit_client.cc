#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "codegen/emit.h"

namespace nearcall {
namespace codegen {
namespace {

constexpr char kContext[] = "::nearcall::ClientContext* context";

// Goes before what callers use, not before what servers implement.
std::string Deprecated(const Method& method) { return method.deprecated ? "[[deprecated]] " : ""; }

// The names in ClientParameters.
std::vector<std::string> ClientArguments(const Method& method) {
  switch (method.kind) {
    case Method::kUnary:
      return {"context", "request", "response"};
    case Method::kClientStreaming:
      return {"context", "response"};
    case Method::kServerStreaming:
      return {"context", "request"};
    case Method::kBidiStreaming:
      break;
  }
  return {"context"};
}

// A streaming method as callers see it: owns what the virtual one returns.
void EmitStreamingWrapper(const Method& method, const char* suffix, Writer* out) {
  out->List(
      absl::StrCat(Deprecated(method), "::std::unique_ptr<", ClientStream(method, suffix), "> ", method.name, "("),
      ClientParameters(method), ") {");
  out->Print("  return ::absl::WrapUnique($raw$($arguments$));\n}\n",
             {{"raw", method.raw_name}, {"arguments", absl::StrJoin(ClientArguments(method), ", ")}});
}

// g++ warns of a deprecated method's use even in a function that is deprecated itself.
void EmitWarningsOff(const Method& method, Writer* out) {
  if (!method.deprecated) return;
  out->Print(
      "#pragma GCC diagnostic push\n"
      "#pragma GCC diagnostic ignored \"-Wdeprecated-declarations\"\n");
}

void EmitWarningsOn(const Method& method, Writer* out) {
  if (method.deprecated) out->Print("#pragma GCC diagnostic pop\n");
}

void EmitUnaryInterface(const Method& method, Writer* out) {
  out->List(absl::StrCat(Deprecated(method), "virtual ::absl::Status ", method.name, "("), ClientParameters(method),
            ") = 0;");
  EmitWarningsOff(method, out);
  out->List(absl::StrCat(Deprecated(method), "::absl::StatusOr<", method.response, "> ", method.name, "("),
            {absl::StrCat("const ", method.request, "& request"),
             "const ::nearcall::CallOptions& options = ::nearcall::CallOptions()"},
            ") {");
  out->Indent();
  out->List(absl::StrCat("return ::nearcall::internal::CallShort<", method.response, ">("),
            {"this", absl::StrCat("&StubInterface::", method.name), "request", "options"}, ");");
  out->Outdent();
  out->Print("}\n");
  EmitWarningsOn(method, out);
}

// The declarations of a method's asynchronous forms: with a callback where it is unary, and with a reactor.
void EmitAsyncDeclarations(const Method& method, const char* before, const char* after, Writer* out) {
  const std::string start = absl::StrCat(before, "void ", method.name, "(");
  if (method.kind == Method::kUnary) out->List(start, AsyncParameters(method), after);
  out->List(start, ReactorParameters(method), after);
}

// The form to co_await, in terms of the one with a callback.
void EmitAwaitable(const Method& method, Writer* out) {
  std::vector<std::string> parameters = AsyncParameters(method);
  parameters.pop_back();
  EmitWarningsOff(method, out);
  out->List(absl::StrCat(Deprecated(method), "::nearcall::internal::AwaitableCall<async_interface, ", method.request,
                         ", ", method.response, "> ", method.name, "("),
            parameters, ") {");
  out->Print("  return {this, &async_interface::$name$, context, request, response};\n}\n", {{"name", method.name}});
  EmitWarningsOn(method, out);
}

void EmitAsyncInterface(const Service& service, Writer* out) {
  out->Print(
      "// The asynchronous forms: each returns at once. A callback runs exactly "
      "once, later; a reactor's StartCall begins its call;\n"
      "// a coroutine says co_await to what a unary method without either returns (nearcall/coroutine.h).\n"
      "// Context, request and response must live until the call is over.\n"
      "class async_interface {\n"
      " public:\n"
      "  virtual ~async_interface() = default;\n");
  out->Indent();
  for (const Method& method : service.methods) {
    EmitAsyncDeclarations(method, absl::StrCat(Deprecated(method), "virtual ").c_str(), ") = 0;", out);
    if (method.kind == Method::kUnary) EmitAwaitable(method, out);
  }
  out->Outdent();
  out->Print("};\nvirtual async_interface* async() { return nullptr; }\n");
}

void EmitStubInterface(const Service& service, Writer* out) {
  out->Print(
      "// What callers need to see of a Stub, so that a test can give them a "
      "mock.\n"
      "class StubInterface {\n"
      " public:\n"
      "  virtual ~StubInterface() = default;\n"
      "\n");
  out->Indent();
  for (const Method& method : service.methods) {
    out->Comment(method.comments);
    if (method.kind == Method::kUnary) {
      EmitUnaryInterface(method, out);
    } else {
      EmitStreamingWrapper(method, "Interface", out);
    }
    out->Print("\n");
  }
  EmitAsyncInterface(service, out);
  out->Outdent();
  if (service.HasStreaming()) out->Print("\n private:\n");
  out->Indent();
  for (const Method& method : service.methods) {
    if (method.kind == Method::kUnary) continue;
    out->List(absl::StrCat("virtual ", ClientStream(method, "Interface"), "* ", method.raw_name, "("),
              ClientParameters(method), ") = 0;");
  }
  out->Outdent();
  out->Print("};\n");
}

void EmitStub(const Service& service, Writer* out) {
  out->Print(
      "class Stub final : public StubInterface {\n"
      " public:\n"
      "  explicit Stub(::std::shared_ptr<::nearcall::Channel> channel);\n"
      "\n");
  out->Indent();
  for (const Method& method : service.methods) {
    if (method.kind == Method::kUnary) {
      out->Print("using StubInterface::$name$;\n", {{"name", method.name}});
      out->List(absl::StrCat(Deprecated(method), "::absl::Status ", method.name, "("), ClientParameters(method),
                ") override;");
    } else {
      EmitStreamingWrapper(method, "", out);
    }
  }
  out->Print("async_interface* async() override { return &async_stub_; }\n");
  out->Outdent();
  out->Print("\n private:\n");
  out->Indent();
  out->Print(
      "class async_stub final : public async_interface {\n"
      " public:\n"
      "  explicit async_stub(::std::shared_ptr<::nearcall::Channel> channel) : channel_(::std::move(channel)) {}\n");
  out->Indent();
  for (const Method& method : service.methods) EmitAsyncDeclarations(method, "", ") override;", out);
  out->Outdent();
  out->Print(
      "\n"
      " private:\n"
      "  const ::std::shared_ptr<::nearcall::Channel> channel_;\n"
      "};\n"
      "\n");
  for (const Method& method : service.methods) {
    if (method.kind == Method::kUnary) continue;
    out->List(absl::StrCat(ClientStream(method, ""), "* ", method.raw_name, "("), ClientParameters(method),
              ") override;");
  }
  out->Print("const ::std::shared_ptr<::nearcall::Channel> channel_;\n");
  out->Print("async_stub async_stub_{channel_};\n");
  out->Outdent();
  out->Print("};\n");
}

void EmitUnaryDefinitions(const Service& service, const Method& method, Writer* out) {
  out->List(absl::StrCat("::absl::Status ", service.name, "::Stub::", method.name, "("), ClientParameters(method),
            ") {");
  out->Print(
      "  return channel_->UnaryCall($constant$, context, request, "
      "response);\n}\n\n",
      {{"constant", method.constant}});
  out->List(absl::StrCat("void ", service.name, "::Stub::async_stub::", method.name, "("), AsyncParameters(method),
            ") {");
  out->Print(
      "  channel_->UnaryCallAsync($constant$, context, *request, response, "
      "::std::move(done));\n}\n\n",
      {{"constant", method.constant}});
}

void EmitReactorDefinition(const Service& service, const Method& method, Writer* out) {
  out->List(absl::StrCat("void ", service.name, "::Stub::async_stub::", method.name, "("), ReactorParameters(method),
            ") {");
  out->Indent();
  if (method.kind == Method::kUnary) {
    out->Print(
        "::nearcall::internal::BindUnary(channel_, &$constant$, context, *request, response, reactor);\n",
        {{"constant", method.constant}});
  } else {
    const bool one_request = method.kind == Method::kServerStreaming;
    const bool one_response = method.kind == Method::kClientStreaming;
    out->List("reactor->driver()->Bind(",
              {"channel_", absl::StrCat("&", method.constant), "context",
               one_request ? "::nearcall::internal::OutMessage(*request)" : "::absl::nullopt",
               one_response ? "::nearcall::internal::InMessage(response)" : "::absl::nullopt"},
              ");");
  }
  out->Outdent();
  out->Print("}\n\n");
}

void EmitStreamingDefinition(const Service& service, const Method& method, Writer* out) {
  const std::string stream = ClientStream(method, "");
  out->List(absl::StrCat(stream, "* ", service.name, "::Stub::", method.raw_name, "("), ClientParameters(method),
            ") {");
  out->Indent();
  std::vector<std::string> arguments = ClientArguments(method);
  arguments.insert(arguments.begin(), {"channel_.get()", method.constant});
  out->List(absl::StrCat("return new ", stream, "("), arguments, ");");
  out->Outdent();
  out->Print("}\n\n");
}

}  // namespace

std::vector<std::string> ClientParameters(const Method& method) {
  const std::string request = absl::StrCat("const ", method.request, "& request");
  const std::string response = absl::StrCat(method.response, "* response");
  switch (method.kind) {
    case Method::kUnary:
      return {kContext, request, response};
    case Method::kClientStreaming:
      return {kContext, response};
    case Method::kServerStreaming:
      return {kContext, request};
    case Method::kBidiStreaming:
      break;
  }
  return {kContext};
}

std::string ClientStream(const Method& method, const char* suffix) {
  switch (method.kind) {
    case Method::kClientStreaming:
      return absl::StrCat("::nearcall::ClientWriter", suffix, "<", method.request, ">");
    case Method::kServerStreaming:
      return absl::StrCat("::nearcall::ClientReader", suffix, "<", method.response, ">");
    default:
      return absl::StrCat("::nearcall::ClientReaderWriter", suffix, "<", method.request, ", ", method.response, ">");
  }
}

std::vector<std::string> AsyncParameters(const Method& method) {
  return {kContext, absl::StrCat("const ", method.request, "* request"), absl::StrCat(method.response, "* response"),
          "::std::function<void(::absl::Status)> done"};
}

std::vector<std::string> ReactorParameters(const Method& method) {
  const std::string request = absl::StrCat("const ", method.request, "* request");
  const std::string response = absl::StrCat(method.response, "* response");
  switch (method.kind) {
    case Method::kUnary:
      return {kContext, request, response, "::nearcall::ClientUnaryReactor* reactor"};
    case Method::kClientStreaming:
      return {kContext, response, absl::StrCat("::nearcall::ClientWriteReactor<", method.request, ">* reactor")};
    case Method::kServerStreaming:
      return {kContext, request, absl::StrCat("::nearcall::ClientReadReactor<", method.response, ">* reactor")};
    case Method::kBidiStreaming:
      break;
  }
  return {kContext,
          absl::StrCat("::nearcall::ClientBidiReactor<", method.request, ", ", method.response, ">* reactor")};
}

void EmitClientClasses(const Service& service, Writer* out) {
  EmitStubInterface(service, out);
  out->Print("\n");
  EmitStub(service, out);
  out->Print(
      "$deprecated$static ::std::unique_ptr<Stub> "
      "NewStub(::std::shared_ptr<::nearcall::Channel> channel);\n",
      {{"deprecated", service.deprecated ? "[[deprecated]] " : ""}});
}

void EmitClientDefinitions(const Service& service, Writer* out) {
  out->Print(
      "$name$::Stub::Stub(::std::shared_ptr<::nearcall::Channel> channel) : "
      "channel_(::std::move(channel)) {}\n"
      "\n"
      "::std::unique_ptr<$name$::Stub> "
      "$name$::NewStub(::std::shared_ptr<::nearcall::Channel> channel) {\n"
      "  return ::std::make_unique<Stub>(::std::move(channel));\n"
      "}\n"
      "\n",
      {{"name", service.name}});
  for (const Method& method : service.methods) {
    if (method.kind == Method::kUnary) {
      EmitUnaryDefinitions(service, method, out);
    } else {
      EmitStreamingDefinition(service, method, out);
    }
    EmitReactorDefinition(service, method, out);
  }
}

}  // namespace codegen
}  // namespace nearcall
