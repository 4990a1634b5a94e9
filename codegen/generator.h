#ifndef NEARCALL_CODEGEN_GENERATOR_H_
#define NEARCALL_CODEGEN_GENERATOR_H_

#include <string>

#include "google/protobuf/compiler/code_generator.h"
#include "google/protobuf/stubs/common.h"

namespace nearcall {
namespace codegen {

// Turns foo.proto into foo.nearcall.h and foo.nearcall.cc, and foo_mock.nearcall.h where asked for.
//
// Threads: thread-safe. Errors: a bad option, of the plugin's or of a method, or cc_generic_services; protoc
// prints them.
class Generator final : public google::protobuf::compiler::CodeGenerator {
 public:
  bool Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                google::protobuf::compiler::GeneratorContext* context, std::string* error) const override;

#if GOOGLE_PROTOBUF_VERSION >= 5027000
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL | FEATURE_SUPPORTS_EDITIONS; }
  // Services look alike in every edition, so that no edition changes what is generated.
  google::protobuf::Edition GetMinimumEdition() const override { return google::protobuf::Edition::EDITION_PROTO2; }
  google::protobuf::Edition GetMaximumEdition() const override { return google::protobuf::Edition::EDITION_2023; }
#else
  uint64_t GetSupportedFeatures() const override { return FEATURE_PROTO3_OPTIONAL; }
#endif
};

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_GENERATOR_H_
