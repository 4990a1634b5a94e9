#include "runtime/rendezvous/unix_address.h"

#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace nearcall {
namespace {

absl::Status CheckLength(absl::string_view what, absl::string_view text, absl::string_view remedy) {
  if (text.size() <= kMaxSocketPath) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " ", absl::Utf8SafeCEscape(text), " is ", text.size(),
                                                 " bytes long, and a socket's may have ", kMaxSocketPath, ": ",
                                                 remedy));
}

UnixAddress Make(absl::string_view text, size_t offset) {
  UnixAddress address = {};
  address.raw.sun_family = AF_UNIX;
  std::memcpy(address.raw.sun_path + offset, text.data(), text.size());
  // The NUL behind a path, or before an abstract name, counts.
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
  return address;
}

}  // namespace

absl::StatusOr<UnixAddress> PathAddress(absl::string_view path) {
  if (path.empty()) return absl::InvalidArgumentError("the path of a socket is empty");
  if (absl::StrContains(path, '\0')) {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", absl::Utf8SafeCEscape(path), " has a NUL in it"));
  }
  const absl::string_view last = path.substr(path.rfind('/') + 1);  // npos + 1 is 0: the whole
  if (last.empty() || last == "." || last == "..") {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", path, " names a directory: add the name of a file"));
  }
  absl::Status length =
      CheckLength("socket path", path, "use a shorter name, or a path in a directory nearer the root");
  if (!length.ok()) return length;
  return Make(path, 0);
}

absl::StatusOr<UnixAddress> AbstractAddress(absl::string_view name) {
  if (name.empty()) return absl::InvalidArgumentError("the abstract name of a socket is empty");
  for (const char c : name) {
    if (!absl::ascii_iscntrl(static_cast<unsigned char>(c))) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("abstract socket name \"", absl::Utf8SafeCEscape(name), "\" has a control character in it"));
  }
  absl::Status length = CheckLength("abstract socket name", name, "use a shorter name");
  if (!length.ok()) return length;
  return Make(name, 1);
}

}  // namespace nearcall
