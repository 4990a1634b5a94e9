// The main function of tests that start children of their own, or that may hang.

#include "gtest/gtest.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/process.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

class WatchEachTest final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    Watchdog::Watch(absl::StrCat(test.test_suite_name(), ".", test.name()));
  }
  void OnTestEnd(const ::testing::TestInfo&) override { Watchdog::Rest(); }
};

}  // namespace
}  // namespace nearcall::testing

// Under ASan. c-ares, by which gRPC resolves names, loses its copy of "localhost" each time.
extern "C" const char* __lsan_default_suppressions() { return "leak:libcares.so\n"; }

int main(int argc, char** argv) {
  int exit_code = 0;
  if (nearcall::testing::PlayRole(argc, argv, &exit_code)) return exit_code;
  ::testing::InitGoogleTest(&argc, argv);
  nearcall::testing::Watchdog::Start();
  ::testing::UnitTest::GetInstance()->listeners().Append(new nearcall::testing::WatchEachTest);
  return RUN_ALL_TESTS();
}
