// The reflection service: what this server serves, and of which messages, as the descriptors linked into it say.

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "grpc/reflection/v1/reflection.nearcall.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "nearcall/internal/callback_handlers.h"
#include "nearcall/internal/server_extension.h"
#include "nearcall/server.h"
#include "nearcall/server_reactor.h"
#include "runtime/services/descriptor_index.h"

namespace nearcall {
namespace {

using google::protobuf::FileDescriptor;
using grpc::reflection::v1::ExtensionRequest;
using grpc::reflection::v1::FileDescriptorResponse;
using grpc::reflection::v1::ServerReflection;
using grpc::reflection::v1::ServerReflectionRequest;
using grpc::reflection::v1::ServerReflectionResponse;

// The files that one stream has carried.
using SentFiles = std::set<const FileDescriptor*>;

// Adds `file` and what it imports, as far as that was not sent.
void AddWithImports(const FileDescriptor& file, SentFiles* sent, FileDescriptorResponse* response) {
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response->add_file_descriptor_proto(proto.SerializeAsString());
  if (!sent->insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) {
    if (sent->count(file.dependency(i)) == 0) AddWithImports(*file.dependency(i), sent, response);
  }
}

absl::Status AddFile(const FileDescriptor* file, SentFiles* sent, ServerReflectionResponse* response) {
  if (file == nullptr) return absl::NotFoundError("this server does not know such a file or symbol");
  AddWithImports(*file, sent, response->mutable_file_descriptor_response());
  return absl::OkStatus();
}

const FileDescriptor* FindExtension(const ExtensionRequest& request) {
  const auto* const extensions = DescriptorIndex::OfThisProgram().FindExtensions(request.containing_type());
  if (extensions == nullptr) return nullptr;
  const auto at = extensions->find(request.extension_number());
  return at == extensions->end() ? nullptr : at->second;
}

absl::Status AddExtensionNumbers(const std::string& type, ServerReflectionResponse* response) {
  const auto* const extensions = DescriptorIndex::OfThisProgram().FindExtensions(type);
  if (extensions == nullptr) return absl::NotFoundError("this server does not know such a type");
  auto* const numbers = response->mutable_all_extension_numbers_response();
  numbers->set_base_type_name(type);
  for (const auto& [number, file] : *extensions) numbers->add_extension_number(number);
  return absl::OkStatus();
}

absl::Status Answer(const ServerReflectionRequest& request, const std::vector<std::string>& services, SentFiles* sent,
                    ServerReflectionResponse* response) {
  const DescriptorIndex& index = DescriptorIndex::OfThisProgram();
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      return AddFile(index.FindFile(request.file_by_filename()), sent, response);
    case ServerReflectionRequest::kFileContainingSymbol:
      return AddFile(index.FindFileOfSymbol(request.file_containing_symbol()), sent, response);
    case ServerReflectionRequest::kFileContainingExtension:
      return AddFile(FindExtension(request.file_containing_extension()), sent, response);
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      return AddExtensionNumbers(request.all_extension_numbers_of_type(), response);
    case ServerReflectionRequest::kListServices: {
      auto* const list = response->mutable_list_services_response();
      for (const std::string& service : services) list->add_service()->set_name(service);
      return absl::OkStatus();
    }
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      break;
  }
  return absl::UnimplementedError("this server does not know such a request");
}

// The service in the version v1. A stream costs no thread while it waits for its client; those that are open when the
// server shuts down are cancelled, for tools like to keep theirs.
//
// Threads: thread-safe. The list is set before the first call.
class Reflection final : public ServerReflection::CallbackService {
 public:
  void SetServices(const std::vector<std::string>& services) { services_ = services; }

  ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse>* ServerReflectionInfo(
      CallbackServerContext* context) override {
    return new Stream(this, context);
  }

  void CancelStreams() {
    absl::MutexLock lock(&mu_);
    draining_ = true;
    for (const CallbackServerContext* context : open_) context->TryCancel();
  }

 private:
  class Stream final : public ServerBidiReactor<ServerReflectionRequest, ServerReflectionResponse> {
   public:
    Stream(Reflection* owner, CallbackServerContext* context) : owner_(owner), context_(context) {
      absl::MutexLock lock(&owner_->mu_);
      owner_->open_.insert(context_);
      if (owner_->draining_) {
        End(absl::UnavailableError("the server is shutting down"));
      } else {
        StartRead(&request_);
      }
    }
    void OnReadDone(bool ok) override {
      if (!ok) return End(absl::OkStatus());
      response_.Clear();
      const absl::Status status = Answer(request_, owner_->services_, &sent_, &response_);
      if (!status.ok()) {
        response_.mutable_error_response()->set_error_code(static_cast<int>(status.code()));
        response_.mutable_error_response()->set_error_message(std::string(status.message()));
      }
      response_.set_valid_host(request_.host());
      response_.mutable_original_request()->Swap(&request_);
      StartWrite(&response_);
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&request_);  // otherwise OnCancel comes
    }
    void OnCancel() override { End(absl::CancelledError("nobody asks any more")); }
    void OnDone() override {
      {
        absl::MutexLock lock(&owner_->mu_);
        owner_->open_.erase(context_);
      }
      delete this;
    }

   private:
    void End(absl::Status status) {
      if (!std::exchange(ended_, true)) Finish(std::move(status));
    }

    Reflection* const owner_;
    CallbackServerContext* const context_;
    ServerReflectionRequest request_;
    ServerReflectionResponse response_;
    SentFiles sent_;
    bool ended_ = false;
  };

  std::vector<std::string> services_;
  absl::Mutex mu_;
  std::set<const CallbackServerContext*> open_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
};

// The same under its older name. The messages are the same but for their package, which does not travel.
class ReflectionAlpha final : public Service {
 public:
  explicit ReflectionAlpha(Reflection* reflection) {
    static const internal::Method method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                         internal::MethodType::kBidiStreaming);
    AddMethod(&method,
              std::make_unique<internal::CallbackBidiStreamingHandler<
                  Reflection, ServerReflectionRequest, ServerReflectionResponse, &Reflection::ServerReflectionInfo>>(
                  reflection));
    // So that it is described as well.
    google::protobuf::LinkMessageReflection<grpc::reflection::v1alpha::ServerReflectionRequest>();
  }
};

class ReflectionExtension final : public internal::ServerExtension {
 public:
  std::vector<Service*> services() override { return {&reflection_, &alpha_}; }
  void OnStart(const std::vector<std::string>& services) override { reflection_.SetServices(services); }
  void OnDrain() override { reflection_.CancelStreams(); }

 private:
  Reflection reflection_;
  ReflectionAlpha alpha_{&reflection_};
};

}  // namespace

ServerBuilder& ServerBuilder::EnableReflection() {
  if (std::exchange(reflection_, true)) return *this;
  return AddExtension(std::make_unique<ReflectionExtension>());
}

}  // namespace nearcall
