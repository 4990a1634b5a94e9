// protoc-gen-nearcall: the protoc plugin behind `--nearcall_out`.

#include "codegen/generator.h"
#include "google/protobuf/compiler/plugin.h"

int main(int argc, char** argv) {
  const nearcall::codegen::Generator generator;
  return google::protobuf::compiler::PluginMain(argc, argv, &generator);
}
