// The plugin: a file that protoc understands either gives code or an error, whatever its names are.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codegen/generator.h"
#include "google/protobuf/compiler/parser.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "nearcall/options.pb.h"
#include "tests/fuzz/fuzz.h"

namespace {

namespace pb = google::protobuf;

class NoErrors final : public pb::io::ErrorCollector, public pb::DescriptorPool::ErrorCollector {
  void AddError(int, pb::io::ColumnNumber, const std::string&) override {}
  void AddError(const std::string&, const std::string&, const pb::Message*, ErrorLocation,
                const std::string&) override {}
};

// Where the generated files go.
class Files final : public pb::compiler::GeneratorContext {
 public:
  pb::io::ZeroCopyOutputStream* Open(const std::string& name) override {
    return new pb::io::StringOutputStream(&files_[name]);
  }
  bool empty() const { return files_.empty(); }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace

// The first byte picks the plugin's parameter; the rest is a .proto.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::string> parameters = {"", "generate_mock_code=true", "services_namespace=a.b",
                                                      "nonsense=1", "generate_mock_code"};
  if (size == 0) return 0;
  NoErrors no_errors;
  pb::io::ArrayInputStream bytes(data + 1, static_cast<int>(size - 1));
  pb::io::Tokenizer tokenizer(&bytes, &no_errors);
  pb::compiler::Parser parser;
  pb::FileDescriptorProto proto;
  if (!parser.Parse(&tokenizer, &proto)) return 0;
  proto.set_name("fuzz/fuzz.proto");
  // What it may import.
  pb::DescriptorPool pool(pb::DescriptorPool::generated_pool());
  pb::FileDescriptorProto unused;
  const pb::FileDescriptor* const options = nearcall::MethodPolicy::descriptor()->file();
  FUZZ_CHECK(options != nullptr);
  const pb::FileDescriptor* const file = pool.BuildFileCollectingErrors(proto, &no_errors);
  if (file == nullptr) return 0;
  Files files;
  std::string error;
  const nearcall::codegen::Generator generator;
  const bool generated = generator.Generate(file, parameters[data[0] % parameters.size()], &files, &error);
  FUZZ_CHECK(generated == error.empty());
  return 0;
}
