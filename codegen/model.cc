#include "codegen/model.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "codegen/names.h"
#include "google/protobuf/compiler/cpp/names.h"
#include "google/protobuf/descriptor.pb.h"

namespace nearcall {
namespace codegen {
namespace {

namespace cpp = ::google::protobuf::compiler::cpp;

Method::Kind KindOf(const google::protobuf::MethodDescriptor& descriptor) {
  if (descriptor.client_streaming()) {
    return descriptor.server_streaming() ? Method::kBidiStreaming : Method::kClientStreaming;
  }
  return descriptor.server_streaming() ? Method::kServerStreaming : Method::kUnary;
}

// Settles the names of a service's methods. A method that can keep its spelling keeps it: others make way.
void NameMethods(const google::protobuf::ServiceDescriptor& descriptor, Service* service) {
  const std::set<std::string> members = MemberNames(descriptor);
  std::set<std::string> taken = members;
  for (int i = 0; i < descriptor.method_count(); ++i) taken.insert(std::string(descriptor.method(i)->name()));
  for (Method& method : service->methods) {
    if (Escape(method.name, members) == method.name) continue;
    method.name = Escape(method.name, taken);
    taken.insert(method.name);
  }
  for (int i = 0; i < descriptor.method_count(); ++i) {
    Method& method = service->methods[i];
    if (method.kind == Method::kUnary) continue;
    method.raw_name = Escape(absl::StrCat(descriptor.method(i)->name(), "Raw"), taken);
    taken.insert(method.raw_name);
  }
}

// What is collected over a whole file.
struct Collected {
  std::set<std::string> constants;  // service and method joined by `_` may read the same for two pairs
  std::vector<std::string> errors;
};

Method MakeMethod(const google::protobuf::MethodDescriptor& descriptor, Collected* collected) {
  Method method;
  method.kind = KindOf(descriptor);
  method.name = std::string(descriptor.name());
  method.proto_name = method.name;
  method.constant =
      Escape(absl::StrCat("k", descriptor.service()->name(), "_", descriptor.name()), collected->constants);
  collected->constants.insert(method.constant);
  method.wire_name = absl::StrCat("/", descriptor.service()->full_name(), "/", descriptor.name());
  method.request = cpp::QualifiedClassName(descriptor.input_type());
  method.response = cpp::QualifiedClassName(descriptor.output_type());
  method.deprecated = descriptor.options().deprecated();
  const std::string complaint = ReadPolicy(descriptor, &method.policy);
  if (!complaint.empty()) collected->errors.push_back(absl::StrCat(descriptor.full_name(), ": ", complaint));
  method.comments = CommentsOf(descriptor);
  return method;
}

Service MakeService(const google::protobuf::ServiceDescriptor& descriptor, Collected* collected) {
  Service service;
  service.name = Escape(std::string(descriptor.name()), ClassNames());
  service.mock_name = absl::StrCat("Mock", descriptor.name(), "Stub");
  service.proto_name = std::string(descriptor.name());
  service.adapter_name = Escape(service.proto_name, AdapterNames());
  service.full_name = std::string(descriptor.full_name());
  service.deprecated = descriptor.options().deprecated();
  service.comments = CommentsOf(descriptor);
  for (int i = 0; i < descriptor.method_count(); ++i) {
    service.methods.push_back(MakeMethod(*descriptor.method(i), collected));
  }
  NameMethods(descriptor, &service);
  return service;
}

// The file's own messages, then those of every file that a method's messages come from.
std::vector<std::string> PbIncludes(const google::protobuf::FileDescriptor& descriptor) {
  std::set<std::string> others;
  for (int i = 0; i < descriptor.service_count(); ++i) {
    for (int j = 0; j < descriptor.service(i)->method_count(); ++j) {
      const google::protobuf::MethodDescriptor* method = descriptor.service(i)->method(j);
      for (const auto* message : {method->input_type(), method->output_type()}) {
        others.insert(absl::StrCat(cpp::StripProto(std::string(message->file()->name())), ".pb.h"));
      }
    }
  }
  std::vector<std::string> includes = {absl::StrCat(cpp::StripProto(std::string(descriptor.name())), ".pb.h")};
  others.erase(includes[0]);
  includes.insert(includes.end(), others.begin(), others.end());
  return includes;
}

}  // namespace

bool Service::HasStreaming() const {
  return std::any_of(methods.begin(), methods.end(),
                     [](const Method& method) { return method.kind != Method::kUnary; });
}

bool MakeFile(const google::protobuf::FileDescriptor& descriptor, const Options& options, File* file,
              std::string* error) {
  file->source = std::string(descriptor.name());
  file->base = cpp::StripProto(file->source);
  file->package = absl::StrSplit(std::string(descriptor.package()), '.', absl::SkipEmpty());
  for (const std::string& segment : file->package) {
    // No more than must be: protoc leaves the namespaces of messages alone.
    file->namespaces.push_back(IsKeyword(segment) ? absl::StrCat(segment, "_") : segment);
  }
  file->namespaces.insert(file->namespaces.end(), options.services_namespace.begin(), options.services_namespace.end());
  file->pb_includes = PbIncludes(descriptor);
  Collected collected;
  for (int i = 0; i < descriptor.service_count(); ++i) {
    file->services.push_back(MakeService(*descriptor.service(i), &collected));
  }
  file->comments = CommentsOf(descriptor);
  *error = absl::StrJoin(collected.errors, "\n");
  return collected.errors.empty();
}

}  // namespace codegen
}  // namespace nearcall
