#ifndef NEARCALL_SERVICE_H_
#define NEARCALL_SERVICE_H_

#include <memory>
#include <vector>

#include "nearcall/internal/method.h"
#include "nearcall/internal/server_call.h"

namespace nearcall {

// The base of every generated `Service`: a list of methods and what serves each.
//
// Threads: thread-compatible until it is registered with a server, immutable afterwards.
class Service {
 public:
  struct Entry {
    const internal::Method* method;
    std::unique_ptr<internal::MethodHandler> handler;
  };

  Service() = default;
  virtual ~Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  const std::vector<Entry>& entries() const { return entries_; }

 protected:
  // For generated constructors. `method` must outlive the service.
  void AddMethod(const internal::Method* method, std::unique_ptr<internal::MethodHandler> handler) {
    entries_.push_back(Entry{method, std::move(handler)});
  }

 private:
  std::vector<Entry> entries_;
};

}  // namespace nearcall

#endif  // NEARCALL_SERVICE_H_
