#ifndef NEARCALL_CODEGEN_OPTIONS_H_
#define NEARCALL_CODEGEN_OPTIONS_H_

#include <string>
#include <vector>

namespace nearcall {
namespace codegen {

// What a user can say to the plugin: `--nearcall_out=OPTION,OPTION:DIRECTORY`. Names are gRPC's.
struct Options {
  // Also emit foo_mock.nearcall.h.
  bool generate_mock_code = false;
  // Also emit foo_grpc.nearcall.{h,cc}, adapters to the classes of gRPC's foo.grpc.pb.h.
  bool generate_grpc_adapter = false;
  // Namespaces inside the package's that hold the generated classes; empty for none. Written with dots, as packages
  // are: protoc takes a colon for the end of the options.
  std::vector<std::string> services_namespace;
};

// Reads the plugin's parameter. On failure returns false and sets `*error` to a message that names the option and lists
// the valid ones.
bool ParseOptions(const std::string& parameter, Options* options, std::string* error);

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_OPTIONS_H_
