// The main function of tests that start children of their own, or that may hang.

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "absl/debugging/failure_signal_handler.h"
#include "absl/debugging/symbolize.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/process.h"
#include "tests/testing/sanitizer.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

char running[256];  // the test that runs, for a handler of signals

class WatchEachTest final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    const std::string name = absl::StrCat(test.test_suite_name(), ".", test.name());
    snprintf(running, sizeof running, "--- in %s\n", name.c_str());
    Watchdog::Watch(name);
  }
  void OnTestEnd(const ::testing::TestInfo&) override { Watchdog::Rest(); }
};

// Called for each part of abseil's report of a crash, and with null at its end.
void NameTheTest(const char* part_of_report) {
  if (part_of_report == nullptr && write(STDERR_FILENO, running, strlen(running)) < 0) return;
}

// A crash says where and in which test. Sanitizers say it by themselves.
void ReportCrashes(const char* program) {
  if (NEARCALL_INSTRUMENTED) return;
  absl::InitializeSymbolizer(program);
  absl::FailureSignalHandlerOptions options;
  options.writerfn = NameTheTest;
  absl::InstallFailureSignalHandler(options);
}

}  // namespace
}  // namespace nearcall::testing

// Under ASan. c-ares, by which gRPC resolves names, loses its copy of "localhost" each time.
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares.so\n"; }

int main(int argc, char** argv) {
  nearcall::testing::ReportCrashes(argv[0]);
  int exit_code = 0;
  if (nearcall::testing::PlayRole(argc, argv, &exit_code)) return exit_code;
  ::testing::InitGoogleTest(&argc, argv);
  nearcall::testing::Watchdog::Start();
  ::testing::UnitTest::GetInstance()->listeners().Append(new nearcall::testing::WatchEachTest);
  return RUN_ALL_TESTS();
}
