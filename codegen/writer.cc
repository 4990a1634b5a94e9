#include "codegen/writer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace nearcall {
namespace codegen {
namespace {

constexpr size_t kWidth = 120;
constexpr size_t kContinuation = 4;

// Fills lines of `width`, from the last of `lines` on, with `items`. The lines that it adds start at column `start`.
std::vector<std::string> Fill(std::vector<std::string> lines, const std::vector<std::string>& items,
                              const std::string& tail, size_t start, size_t width) {
  bool opened = true;  // the line has no item yet
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string item = absl::StrCat(items[i], i + 1 < items.size() ? "," : tail);
    if (!opened && lines.back().size() + 1 + item.size() > width) {
      lines.emplace_back(start, ' ');
      opened = true;
    }
    absl::StrAppend(&lines.back(), opened ? "" : " ", item);
    opened = false;
  }
  if (items.empty()) lines.back() += tail;
  return lines;
}

bool Fits(const std::vector<std::string>& lines, size_t width) {
  return std::all_of(lines.begin(), lines.end(), [width](const std::string& line) { return line.size() <= width; });
}

}  // namespace

void Writer::Line(const std::string& line) {
  // Not PrintRaw, which does not indent what follows.
  printer_.Print({{"line", line}}, line.empty() ? "\n" : "$line$\n");
}

void Writer::Comment(const CommentLines& lines) {
  for (const std::string& line : lines) Line(line);
}

void Writer::List(const std::string& head, const std::vector<std::string>& items, const std::string& tail) {
  const size_t width = kWidth - indent_;
  std::string rest = head;
  if (rest.size() > width) {  // a long return type stands on a line of its own
    const size_t space = rest.rfind(' ');
    Line(rest.substr(0, space));
    rest = rest.substr(space + 1);
  }
  const std::vector<std::string> aligned = Fill({rest}, items, tail, rest.size(), width);
  const std::vector<std::string> hanging =
      Fill({rest, std::string(kContinuation, ' ')}, items, tail, kContinuation, width);
  for (const std::string& line : Fits(aligned, width) && aligned.size() <= hanging.size() ? aligned : hanging) {
    Line(line);
  }
}

void Writer::Indent(int columns) {
  for (int i = 0; i < columns; i += 2) printer_.Indent();
  indent_ += columns;
}

void Writer::Outdent(int columns) {
  for (int i = 0; i < columns; i += 2) printer_.Outdent();
  indent_ -= columns;
}

}  // namespace codegen
}  // namespace nearcall
