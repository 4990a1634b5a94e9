#ifndef NEARCALL_CODEGEN_COMMENTS_H_
#define NEARCALL_CODEGEN_COMMENTS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace nearcall {
namespace codegen {

// Lines of C++ comment; an empty one is a blank line.
using CommentLines = std::vector<std::string>;

// `text`, which may hold anything, as `//` comments: whatever it says, no compiler sees code in it, or warns about it.
CommentLines ToComment(absl::string_view text);

// What a .proto says around a definition: detached, leading and trailing comments, all to be printed above it. (After
// it, as gRPC prints it, a trailing comment looks as if it belonged to what follows.)
CommentLines CommentsOf(const google::protobuf::ServiceDescriptor& service);
CommentLines CommentsOf(const google::protobuf::MethodDescriptor& method);
// The comment at the top of the file.
CommentLines CommentsOf(const google::protobuf::FileDescriptor& file);

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_COMMENTS_H_
