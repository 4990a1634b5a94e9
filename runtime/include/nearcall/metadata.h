#ifndef NEARCALL_METADATA_H_
#define NEARCALL_METADATA_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace nearcall {

// The key-value pairs that travel beside a call's messages, in the order in which they were added. A key may repeat.
//
// Keys are lower case: letters, digits, '-', '_' and '.'; upper case is folded when a pair is added. Values are
// printable ASCII, unless the key ends in "-bin": then any bytes. Keys that start with "nearcall-" or "grpc-" are the
// framework's.
//
// Threads: thread-compatible. Owns its strings; the views that it returns live until it is changed.
class Metadata {
 public:
  using Pair = std::pair<std::string, std::string>;
  using const_iterator = std::vector<Pair>::const_iterator;

  // Adds a pair. Whether the pair may travel is checked when the call starts (INVALID_ARGUMENT, naming the key).
  void Add(absl::string_view key, absl::string_view value);

  // The first value of `key`, or nullopt.
  absl::optional<absl::string_view> Get(absl::string_view key) const;
  // Every value of `key`, in order.
  std::vector<absl::string_view> GetAll(absl::string_view key) const;

  bool empty() const { return pairs_.empty(); }
  size_t size() const { return pairs_.size(); }
  const_iterator begin() const { return pairs_.begin(); }
  const_iterator end() const { return pairs_.end(); }
  void clear() { pairs_.clear(); }

 private:
  std::vector<Pair> pairs_;
};

}  // namespace nearcall

#endif  // NEARCALL_METADATA_H_
