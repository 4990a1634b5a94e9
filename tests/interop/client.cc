// The client of the interoperability tests: runs one case, or all, and says of each whether it passed.
//   client --address=local:interop --case=large_unary
// Exit code: 0 if all passed, 1 if one failed, 2 for a wrong flag.

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "nearcall/nearcall.h"
#include "tests/interop/cases.h"
#include "tests/testing/watchdog.h"

ABSL_FLAG(std::string, address, "local:interop", "the server's address");
ABSL_FLAG(std::string, case, "all", "which case to run; all for all of them, list to see their names");
ABSL_FLAG(int, concurrent_calls, nearcall::interop::CaseOptions().concurrent_calls, "of concurrent_large_unary");
ABSL_FLAG(int, through_grpc, 0, "how many connections lead to the server, if one of them is gRPC's");
ABSL_FLAG(int, rpc_soak_calls, nearcall::interop::CaseOptions().rpc_soak_calls, "of rpc_soak");
ABSL_FLAG(int, channel_soak_channels, nearcall::interop::CaseOptions().channel_soak_channels, "of channel_soak");

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const std::string name = absl::GetFlag(FLAGS_case);
  std::vector<nearcall::interop::Case> cases;
  if (name == "all" || name == "list") {
    cases = nearcall::interop::AllCases();
  } else if (const nearcall::interop::Case* one = nearcall::interop::FindCase(name)) {
    cases.push_back(*one);
  } else {
    std::cerr << "there is no case " << name << "; --case=list says which there are" << std::endl;
    return 2;
  }
  nearcall::interop::CaseOptions options;
  if (const int connections = absl::GetFlag(FLAGS_through_grpc); connections > 0) options.LeadThroughGrpc(connections);
  options.concurrent_calls = absl::GetFlag(FLAGS_concurrent_calls);
  options.rpc_soak_calls = absl::GetFlag(FLAGS_rpc_soak_calls);
  options.channel_soak_channels = absl::GetFlag(FLAGS_channel_soak_channels);

  // Before any case counts threads.
  nearcall::testing::Watchdog::Start();
  const std::shared_ptr<nearcall::Channel> channel = nearcall::CreateChannel(absl::GetFlag(FLAGS_address));
  int failed = 0;
  for (const nearcall::interop::Case& one : cases) {
    if (name == "list") {
      std::cout << one.name << std::endl;
      continue;
    }
    nearcall::testing::Watchdog::Watch(one.name);
    const absl::Status status = one.run(channel, options);
    nearcall::testing::Watchdog::Rest();
    std::cout << one.name << ": " << (status.ok() ? "passed" : status.ToString()) << std::endl;
    if (!status.ok()) ++failed;
  }
  return failed == 0 ? 0 : 1;
}
