#ifndef NEARCALL_CODEGEN_MODEL_H_
#define NEARCALL_CODEGEN_MODEL_H_

#include <string>
#include <vector>

#include "codegen/comments.h"
#include "codegen/options.h"
#include "codegen/policy.h"
#include "google/protobuf/descriptor.h"

namespace nearcall {
namespace codegen {

// One .proto file as the emitters see it: every name is the one to print,
// collisions are settled.

struct Method {
  enum Kind { kUnary, kClientStreaming, kServerStreaming, kBidiStreaming };

  Kind kind;
  std::string name;        // of the C++ methods
  std::string proto_name;  // as the .proto spells it, which is what gRPC's classes do
  std::string raw_name;    // of the virtual method behind a streaming one, which
                           // a mock overrides; as gRPC's
  std::string constant;    // of the nearcall::internal::Method
  std::string wire_name;   // "/package.Service/Method", as the .proto spells it
  std::string request;     // fully qualified, with a leading "::"
  std::string response;
  bool deprecated;
  Policy policy;
  CommentLines comments;
};

struct Service {
  std::string name;
  std::string mock_name;
  std::string proto_name;    // as the .proto spells it
  std::string adapter_name;  // of the class of adapters to gRPC's
  std::string full_name;     // as the .proto spells it
  std::vector<Method> methods;
  bool deprecated;
  CommentLines comments;

  bool HasStreaming() const;
};

struct File {
  std::string source;                    // foo.proto
  std::string base;                      // foo
  std::vector<std::string> package;      // its segments
  std::vector<std::string> namespaces;   // outermost first, without the inline one
  std::vector<std::string> pb_includes;  // foo.pb.h first
  std::vector<Service> services;
  CommentLines comments;
};

// On failure returns false and sets `*error` to what is wrong with the options
// of methods, a line for each.
bool MakeFile(const google::protobuf::FileDescriptor& descriptor, const Options& options, File* file,
              std::string* error);

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_MODEL_H_
