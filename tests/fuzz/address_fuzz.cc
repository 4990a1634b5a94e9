// Addresses, as a configuration file may have them.

#include <string>

#include "runtime/engine/transport.h"
#include "runtime/rendezvous/socket_path.h"
#include "runtime/rendezvous/unix_address.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<nearcall::Address> address = nearcall::ParseAddress(text);
  if (address.ok()) {
    FUZZ_CHECK(address->scheme + ":" + address->rest == text);
    const absl::StatusOr<nearcall::Transport*> transport = nearcall::FindTransport(*address);
    if (transport.ok()) (*transport)->Check(*address).IgnoreError();
  }
  const absl::StatusOr<std::string> path = nearcall::SocketPathFor(text);
  if (path.ok()) FUZZ_CHECK(path->size() <= nearcall::kMaxSocketPath && nearcall::PathAddress(*path).ok());
  nearcall::AbstractAddress(text).IgnoreError();
  return 0;
}
