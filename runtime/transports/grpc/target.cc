#include "runtime/transports/grpc/target.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/base/errno_status.h"
#include "runtime/base/fd.h"

namespace nearcall::grpc_transport {
namespace {

// "dns:///h:1", "dns:h:1", "ipv4:h:1" and "h:1" are "h:1"; with an authority, "dns://a/h:1", it is what comes behind.
absl::string_view WithoutResolver(absl::string_view target) {
  for (const absl::string_view scheme : {"dns:", "ipv4:", "ipv6:"}) {
    if (!absl::ConsumePrefix(&target, scheme)) continue;
    if (absl::ConsumePrefix(&target, "//")) {
      const size_t slash = target.find('/');
      target = slash == absl::string_view::npos ? absl::string_view() : target.substr(slash + 1);
    }
    return target;
  }
  return target;
}

}  // namespace

bool SplitHostPort(absl::string_view target, std::string* host, std::string* port) {
  target = WithoutResolver(target);
  const size_t colon = target.rfind(':');
  if (colon == absl::string_view::npos || absl::StrContains(target, '/')) return false;
  absl::string_view name = target.substr(0, colon);
  if (absl::ConsumePrefix(&name, "[")) {
    if (!absl::ConsumeSuffix(&name, "]")) return false;
  } else if (absl::StrContains(name, ':')) {
    return false;
  }
  *host = std::string(name);
  *port = std::string(target.substr(colon + 1));
  return true;
}

bool StaysOnThisMachine(absl::string_view target) {
  if (absl::StartsWith(target, "unix:") || absl::StartsWith(target, "unix-abstract:")) return true;
  std::string host, port;
  // Several addresses with commas in between are not looked into.
  if (absl::StrContains(target, ',') || !SplitHostPort(target, &host, &port)) return false;
  if (host == "localhost" || host == "::1") return true;
  return absl::StartsWith(host, "127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

absl::Status WhyNotBound(absl::string_view target) {
  const absl::Status unknown = absl::UnavailableError(
      absl::StrCat("grpc:", target, ": gRPC cannot listen there; what it logs to stderr says why"));
  std::string host, port;
  if (!SplitHostPort(target, &host, &port)) return unknown;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return absl::InvalidArgumentError(absl::StrCat("grpc:", target, ": ", gai_strerror(error)));
  }
  absl::Status why = unknown;
  const Fd fd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 || listen(fd.get(), 1) != 0) {
    why = errno == EADDRINUSE ? absl::AlreadyExistsError(absl::StrCat("somebody listens on grpc:", target, " already"))
                              : ErrnoStatus(errno, absl::StrCat("grpc:", target));
  }
  freeaddrinfo(found);
  return why;
}

}  // namespace nearcall::grpc_transport
