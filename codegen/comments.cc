#include "codegen/comments.h"

#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"

namespace nearcall {
namespace codegen {
namespace {

// Compilers warn about unpaired controls of text direction, which can make code look like a comment.
bool IsDirectionControl(uint32_t code_point) {
  return (code_point >= 0x202a && code_point <= 0x202e) || (code_point >= 0x2066 && code_point <= 0x2069);
}

// The length of the UTF-8 sequence at the front of `text` and its code point; 0 where it is none.
size_t Utf8Sequence(absl::string_view text, uint32_t* code_point) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0x80 ? 1 : (first >> 5) == 6 ? 2 : (first >> 4) == 14 ? 3 : (first >> 3) == 30 ? 4 : 0;
  if (length == 0 || length > text.size()) return 0;
  *code_point = length == 1 ? first : first & (0x7f >> length);
  for (size_t i = 1; i < length; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return 0;
    *code_point = (*code_point << 6) | (next & 0x3f);
  }
  static constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = *code_point >= 0xd800 && *code_point <= 0xdfff;
  return *code_point < kSmallest[length] || *code_point > 0x10ffff || surrogate ? 0 : length;
}

// One line of comment, without what could end it, continue it or make a compiler warn.
std::string ToCommentLine(absl::string_view text) {
  std::string line = "//";
  // The parser leaves the space after `//` in place; it has none where the .proto says `//text`, and `/` for `///`.
  if (!text.empty() && text[0] != ' ' && text[0] != '/') line += ' ';
  while (!text.empty()) {
    uint32_t code_point = 0;
    const size_t length = Utf8Sequence(text, &code_point);
    if (length == 0) {
      line += '?';
    } else if (length == 1 && (code_point < 0x20 || code_point == 0x7f)) {
      line += ' ';
    } else if (!IsDirectionControl(code_point)) {
      line.append(text.data(), length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  while (line.back() == ' ') line.pop_back();
  // A backslash at the end, also spelt as a trigraph, would make the next line a comment as well.
  if (absl::EndsWith(line, "\\") || absl::EndsWith(line, "?\?/")) line += " //";
  return line;
}

void AppendBlock(const CommentLines& block, const char* separator, CommentLines* lines) {
  if (block.empty()) return;
  if (!lines->empty()) lines->push_back(separator);
  lines->insert(lines->end(), block.begin(), block.end());
}

CommentLines FromLocation(const google::protobuf::SourceLocation& location) {
  CommentLines attached = ToComment(location.leading_comments);
  AppendBlock(ToComment(location.trailing_comments), "//", &attached);
  CommentLines lines;
  for (const std::string& detached : location.leading_detached_comments) AppendBlock(ToComment(detached), "", &lines);
  if (!lines.empty() && attached.empty()) lines.push_back("");  // still detached
  AppendBlock(attached, "", &lines);
  return lines;
}

}  // namespace

CommentLines ToComment(absl::string_view text) {
  CommentLines lines;
  while (!text.empty()) {
    // A lone carriage return ends a line for some compilers.
    const size_t end = text.find_first_of("\r\n");
    lines.push_back(ToCommentLine(text.substr(0, end)));
    if (end == absl::string_view::npos) break;
    text.remove_prefix(end + (absl::StartsWith(text.substr(end), "\r\n") ? 2 : 1));
  }
  while (!lines.empty() && lines.back() == "//") lines.pop_back();
  while (!lines.empty() && lines.front() == "//") lines.erase(lines.begin());
  return lines;
}

CommentLines CommentsOf(const google::protobuf::ServiceDescriptor& service) {
  google::protobuf::SourceLocation location;
  return service.GetSourceLocation(&location) ? FromLocation(location) : CommentLines();
}

CommentLines CommentsOf(const google::protobuf::MethodDescriptor& method) {
  google::protobuf::SourceLocation location;
  return method.GetSourceLocation(&location) ? FromLocation(location) : CommentLines();
}

CommentLines CommentsOf(const google::protobuf::FileDescriptor& file) {
  google::protobuf::SourceLocation location;
  const std::vector<int> syntax = {google::protobuf::FileDescriptorProto::kSyntaxFieldNumber};
  return file.GetSourceLocation(syntax, &location) ? FromLocation(location) : CommentLines();
}

}  // namespace codegen
}  // namespace nearcall
