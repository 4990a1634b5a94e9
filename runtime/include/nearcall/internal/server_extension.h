#ifndef NEARCALL_INTERNAL_SERVER_EXTENSION_H_
#define NEARCALL_INTERNAL_SERVER_EXTENSION_H_

#include <string>
#include <vector>

#include "nearcall/service.h"

namespace nearcall {
namespace internal {

// A part of a server that the builder adds and the server owns: a service of the framework's own, and what that has to
// know of the server's life.
//
// Threads: each function is called once, in the order of their declaration, by the thread that starts or shuts down.
// Lifetime: outlives every call of the server.
class ServerExtension {
 public:
  virtual ~ServerExtension() = default;

  // What it serves. The services live as long as the extension.
  virtual std::vector<Service*> services() { return {}; }
  // The server is about to take its first call. `services`: the names of all that it serves, the extensions' own
  // included, sorted: "package.Service".
  virtual void OnStart(const std::vector<std::string>& services) { (void)services; }
  // The server is about to shut down and still takes calls. Not called where it never started.
  virtual void OnDrain() {}
};

}  // namespace internal
}  // namespace nearcall

#endif  // NEARCALL_INTERNAL_SERVER_EXTENSION_H_
