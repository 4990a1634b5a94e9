#include "nearcall/metadata.h"

#include "absl/strings/ascii.h"

namespace nearcall {

void Metadata::Add(absl::string_view key, absl::string_view value) {
  pairs_.emplace_back(absl::AsciiStrToLower(key), std::string(value));
}

absl::optional<absl::string_view> Metadata::Get(absl::string_view key) const {
  for (const Pair& pair : pairs_) {
    if (pair.first == key) return absl::string_view(pair.second);
  }
  return absl::nullopt;
}

std::vector<absl::string_view> Metadata::GetAll(absl::string_view key) const {
  std::vector<absl::string_view> values;
  for (const Pair& pair : pairs_) {
    if (pair.first == key) values.push_back(pair.second);
  }
  return values;
}

}  // namespace nearcall
