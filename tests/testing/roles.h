#ifndef NEARCALL_TESTS_TESTING_ROLES_H_
#define NEARCALL_TESTS_TESTING_ROLES_H_

#include <string>
#include <vector>

#include "nearcall/server.h"
#include "tests/testing/process.h"

namespace nearcall::testing {

// What a child process can be:
//   server FORM OPTIONS ADDRESS...  serves what services.h knows of, "blocking" or with "reactors"; tells "ready" and
//                                   its addresses, or "failed" and the status; then obeys "shutdown" and
//                                   "shutdown MILLISECONDS", and tells "done"
//   blocker ADDRESS GATE [MILLISECONDS]  calls Block, with so much time; tells the status
//   reader ADDRESS GATE STREAMS     reads so many endless Downs with reactors; tells "reading" when all have begun;
//   told
//                                   anything it cancels them, and tells "done" when all are over
//   inspector ADDRESS               calls Inspect; tells what the server says of us: "TRANSPORT UID PID"
// and what is registered.
int RunRole(const std::string& role, const std::vector<std::string>& arguments, Parent* parent);

// Makes a role known: a static object beside the function that plays it.
struct RoleRegistration {
  using Play = int (*)(const std::vector<std::string>& arguments, Parent* parent);
  RoleRegistration(const std::string& role, Play play);
};

// Server options as one argument.
std::string EncodeOptions(const ServerOptions& options);

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_TESTING_ROLES_H_
