#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "codegen/emit.h"

namespace nearcall {
namespace codegen {
namespace {

constexpr char kContext[] = "::grpc::ClientContext* context";
constexpr char kQueue[] = "::grpc::CompletionQueue* cq";

// gRPC's class of the service.
std::string GrpcClass(const File& file, const Service& service) {
  std::string name;
  for (const std::string& segment : file.package) absl::StrAppend(&name, "::", segment);
  return absl::StrCat(name, "::", service.proto_name);
}

// The parameters and arguments between context and completion queue.
std::vector<std::string> Parameters(const Method& method) {
  switch (method.kind) {
    case Method::kUnary:
    case Method::kServerStreaming:
      return {kContext, absl::StrCat("const ", method.request, "& request")};
    case Method::kClientStreaming:
      return {kContext, absl::StrCat(method.response, "* response")};
    case Method::kBidiStreaming:
      break;
  }
  return {kContext};
}

std::vector<std::string> Arguments(const Method& method) {
  switch (method.kind) {
    case Method::kUnary:
    case Method::kServerStreaming:
      return {"context", "request"};
    case Method::kClientStreaming:
      return {"context", "response"};
    case Method::kBidiStreaming:
      break;
  }
  return {"context"};
}

std::vector<std::string> With(std::vector<std::string> list, const std::vector<std::string>& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

// A stream's class: `prefix` and its kind, of what it carries.
std::string Stream(const Method& method, const std::string& prefix, const char* suffix) {
  switch (method.kind) {
    case Method::kUnary:
      return absl::StrCat(prefix, "ResponseReader", suffix, "<", method.response, ">");
    case Method::kServerStreaming:
      return absl::StrCat(prefix, "Reader", suffix, "<", method.response, ">");
    case Method::kClientStreaming:
      return absl::StrCat(prefix, "Writer", suffix, "<", method.request, ">");
    case Method::kBidiStreaming:
      break;
  }
  return absl::StrCat(prefix, "ReaderWriter", suffix, "<", method.request, ", ", method.response, ">");
}

void EmitUnary(const Method& method, Writer* out) {
  out->List(absl::StrCat("::grpc::Status ", method.proto_name, "("),
            With(Parameters(method), {absl::StrCat(method.response, "* response")}), ") override {");
  out->Print(
      "  if (calls_.NeedsGrpc(context)) return "
      "detour()->$name$(context, request, response);\n"
      "  return calls_.Unary($constant$, context, request, response);\n"
      "}\n",
      {{"name", method.proto_name}, {"constant", method.constant}});
}

void EmitStreaming(const Method& method, Writer* out) {
  out->List(absl::StrCat(Stream(method, "::grpc::Client", "Interface"), "* ", method.proto_name, "Raw("),
            Parameters(method), ") override {");
  out->Print(
      "  if (calls_.NeedsGrpc(context)) return "
      "detour()->$name$($arguments$).release();\n",
      {{"name", method.proto_name}, {"arguments", absl::StrJoin(Arguments(method), ", ")}});
  out->Indent();
  out->List(absl::StrCat("return new ", Stream(method, "::nearcall::internal::Grpc", ""), "("),
            With({"calls_", method.constant}, Arguments(method)), ");");
  out->Outdent();
  out->Print("}\n");
}

// The forms for completion queues.
void EmitAsynchronous(const Method& method, const char* prefix, const std::vector<std::string>& more_parameters,
                      const std::vector<std::string>& more_arguments, Writer* out) {
  out->List(absl::StrCat(Stream(method, "::grpc::ClientAsync", "Interface"), "* ", prefix, method.proto_name, "Raw("),
            With(Parameters(method), more_parameters), ") override {");
  out->Indent();
  out->List(absl::StrCat("return detour()->", prefix, method.proto_name, "("), With(Arguments(method), more_arguments),
            ").release();");
  out->Outdent();
  out->Print("}\n");
}

void EmitGrpcStub(const File& file, const Service& service, Writer* out) {
  const std::string grpc = GrpcClass(file, service);
  out->Print(
      "class $name$::Stub final : public $grpc$::StubInterface {\n"
      " public:\n"
      "  explicit Stub(::std::shared_ptr<::nearcall::Channel> channel) "
      ": calls_(::std::move(channel)) {}\n"
      "\n",
      {{"name", service.adapter_name}, {"grpc", grpc}});
  out->Indent();
  for (const Method& method : service.methods) {
    if (method.kind == Method::kUnary) EmitUnary(method, out);
  }
  out->Print("async_interface* async() override { return detour()->async(); }\n");
  out->Outdent();
  out->Print("\n private:\n");
  out->Indent();
  for (const Method& method : service.methods) {
    const bool streaming = method.kind != Method::kUnary;
    if (streaming) EmitStreaming(method, out);
    EmitAsynchronous(method, "Async",
                     streaming ? std::vector<std::string>{kQueue, "void* tag"} : std::vector<std::string>{kQueue},
                     streaming ? std::vector<std::string>{"cq", "tag"} : std::vector<std::string>{"cq"}, out);
    EmitAsynchronous(method, "PrepareAsync", {kQueue}, {"cq"}, out);
  }
  out->Print(
      "$grpc$::StubInterface* detour() { return detour_.Stub(calls_); }\n"
      "\n"
      "::nearcall::internal::GrpcCalls calls_;\n"
      "::nearcall::internal::GrpcDetour<$grpc$> detour_;\n",
      {{"grpc", grpc}});
  out->Outdent();
  out->Print("};\n\n");
}

void EmitGrpcServer(const File& file, const Service& service, Writer* out) {
  const std::string implementation = absl::StrCat(GrpcClass(file, service), "::Service");
  out->Print(
      "class $name$::Server final : public "
      "::nearcall::internal::GrpcService {\n"
      " public:\n"
      "  explicit Server($service$* implementation) : "
      "GrpcService(implementation) {\n",
      {{"name", service.adapter_name}, {"service", implementation}});
  out->Indent(4);
  for (const Method& method : service.methods) {
    if (method.kind != Method::kUnary) {
      out->Print("AddThroughGrpc($constant$);\n", {{"constant", method.constant}});
      continue;
    }
    out->List(
        "AddUnary<",
        {implementation, method.request, method.response, absl::StrCat("&", implementation, "::", method.proto_name)},
        absl::StrCat(">(&", method.constant, ", implementation);"));
  }
  out->Outdent(4);
  out->Print("  }\n};\n\n");
}

}  // namespace

void EmitGrpcClass(const File& file, const Service& service, Writer* out) {
  out->Print(
      "// gRPC's classes of $full_name$ over nearcall's addresses "
      "(nearcall/grpc_adapter.h).\n"
      "class $name$ final {\n"
      " public:\n"
      "  // For code that calls through gRPC's StubInterface.\n"
      "  static ::std::unique_ptr<$grpc$::StubInterface> NewStub(\n"
      "      ::std::shared_ptr<::nearcall::Channel> channel);\n"
      "  // Has a nearcall server serve what was written for gRPC. "
      "`implementation` must outlive what is returned.\n"
      "  static ::std::unique_ptr<::nearcall::Service> "
      "NewService($grpc$::Service* implementation);\n"
      "\n"
      " private:\n"
      "  class Stub;\n"
      "  class Server;\n"
      "};\n"
      "\n",
      {{"name", service.adapter_name}, {"full_name", service.full_name}, {"grpc", GrpcClass(file, service)}});
}

void EmitGrpcDefinitions(const File& file, const Service& service, Writer* out) {
  EmitGrpcStub(file, service, out);
  EmitGrpcServer(file, service, out);
  out->Print(
      "::std::unique_ptr<$grpc$::StubInterface> $name$::NewStub(\n"
      "    ::std::shared_ptr<::nearcall::Channel> channel) {\n"
      "  return ::std::make_unique<Stub>(::std::move(channel));\n"
      "}\n"
      "\n"
      "::std::unique_ptr<::nearcall::Service> "
      "$name$::NewService($grpc$::Service* implementation) {\n"
      "  return ::std::make_unique<Server>(implementation);\n"
      "}\n"
      "\n",
      {{"name", service.adapter_name}, {"grpc", GrpcClass(file, service)}});
}

}  // namespace codegen
}  // namespace nearcall
