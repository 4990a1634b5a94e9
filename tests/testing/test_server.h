#ifndef NEARCALL_TESTS_TESTING_TEST_SERVER_H_
#define NEARCALL_TESTS_TESTING_TEST_SERVER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "nearcall/nearcall.h"
#include "tests/testing/services.h"

namespace nearcall::testing {

enum class Where { kThisProcess, kOwnProcess };

// A running server of the services that services.h knows of (TestService is one), in this process or in one of its own.
//
// Threads: thread-compatible. The destructor ends it; a process of its own dies without a farewell.
class TestServer {
 public:
  // A process of its own that cannot serve gives UNKNOWN, with what it said.
  static absl::StatusOr<std::unique_ptr<TestServer>> Start(Where where, const std::vector<std::string>& addresses,
                                                           const ServerOptions& options, Form form = Form::kBlocking);
  virtual ~TestServer() = default;

  const std::vector<std::string>& addresses() const { return addresses_; }
  // Blocks until it has shut down.
  virtual void Shutdown() = 0;
  virtual void Shutdown(absl::Duration grace) = 0;
  // Of the process that serves.
  virtual pid_t pid() const = 0;
  // Kills its process, which must be its own, and waits for its end.
  virtual void Kill() = 0;

 protected:
  std::vector<std::string> addresses_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_TEST_SERVER_H_
