#ifndef NEARCALL_CODEGEN_WRITER_H_
#define NEARCALL_CODEGEN_WRITER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "codegen/comments.h"
#include "google/protobuf/io/printer.h"
#include "google/protobuf/io/zero_copy_stream.h"

namespace nearcall {
namespace codegen {

// Prints C++ in Google style, 120 columns wide: protobuf's Printer, and the breaking of long lines.
class Writer {
 public:
  using Variables = std::map<std::string, std::string>;

  explicit Writer(google::protobuf::io::ZeroCopyOutputStream* output) : printer_(output, '$') {}

  // Prints lines; `$name$` stands for a variable.
  void Print(const char* text, const Variables& variables = {}) { printer_.Print(variables, text); }
  void Comment(const CommentLines& lines);

  // Prints `head` `items`, separated by commas, `tail`: a function with its parameters, a call with its arguments. What
  // does not fit one line is broken between items, which line up with the first or hang below the line.
  void List(const std::string& head, const std::vector<std::string>& items, const std::string& tail);

  void Indent(int columns = 2);
  void Outdent(int columns = 2);

 private:
  void Line(const std::string& line);

  google::protobuf::io::Printer printer_;
  size_t indent_ = 0;
};

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_WRITER_H_
