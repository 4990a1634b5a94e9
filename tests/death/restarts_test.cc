// Servers that are replaced again and again under the calls of eight clients: each call ends with its own right answer
// or with UNAVAILABLE, and runs at most once.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "tests/death/calls.h"
#include "tests/death/notebook.h"
#include "tests/testing/process.h"
#include "tests/testing/resources.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {
namespace {

constexpr int kClients = 8;
constexpr int kRestarts = 200;

class Restarts : public ::testing::TestWithParam<std::string> {};  // the scheme

TEST_P(Restarts, NoCallIsLostOrRunTwice) {
  const Resources before = Resources::Of(getpid());
  char name[] = "/tmp/nearcall.XXXXXX";
  const std::string directory = mkdtemp(name);
  Notebook* const notebook = Notebook::Open(directory + "/notebook");
  std::string address = GetParam() == "tcp" ? "tcp:127.0.0.1:0" : absl::StrCat(GetParam(), ":", directory, "/s");
  const auto start = [&] {
    auto server = Process::Start("counted_server", {address, directory + "/notebook"});
    address = server->Hear().substr(6);
    return server;
  };
  std::unique_ptr<Process> server = start();

  std::atomic<int> numbers{0}, answered{0}, unavailable{0}, not_seen{0}, wrong{0};
  std::atomic<bool> over{false};
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&] {
      const std::shared_ptr<Channel> channel = CreateChannel(address);
      bool wait_for_ready = false;  // only a call after one that failed, so that there are not only failures
      while (!over) {
        const int number = ++numbers;
        if (number >= Notebook::kCalls) break;
        const Call call = number % 40 == 0 ? Call::kLarge : number % 10 == 0 ? Call::kStream : Call::kSmall;
        const Outcome outcome = Make(call, channel, number, absl::InfiniteDuration(), wait_for_ready);
        wait_for_ready = !outcome.status.ok();
        const int runs = notebook->begun[number];
        bool honest = outcome.right && runs <= 1;
        if (outcome.status.ok()) {
          ++answered;
          honest = honest && runs == 1;
        } else {
          ++unavailable;
          honest = honest && absl::IsUnavailable(outcome.status);
          if (SurelyNotSeen(outcome.status)) {
            ++not_seen;
            honest = honest && runs == 0;
          }
        }
        if (honest) continue;
        ++wrong;
        ADD_FAILURE() << NameOf(call) << " call " << number << " ran " << runs << " times and ended with "
                      << outcome.status << (outcome.right ? "" : " and a wrong answer");
      }
    });
  }
  for (int i = 0; i < kRestarts && wrong == 0; ++i) {
    Watchdog::Watch(absl::StrCat("restart ", i));
    const int enough = answered + 5 * kClients;
    Await([&] { return answered >= enough || wrong > 0; });
    if (i % 2 == 0) {
      server->Signal(SIGKILL);
    } else {
      server->Tell("drain");
      EXPECT_EQ(server->Hear(), "drained");
    }
    server->Wait();
    server = start();
  }
  over = true;
  for (std::thread& client : clients) client.join();
  int most = 0;
  for (int i = 0; i < Notebook::kCalls; ++i) most = std::max<int>(most, notebook->begun[i]);
  EXPECT_EQ(most, 1);
  printf(
      "%s: %d restarts; %d calls answered, %d UNAVAILABLE, of which %d surely not seen; no call ran more than once\n",
      GetParam().c_str(), kRestarts, answered.load(), unavailable.load(), not_seen.load());
  server = nullptr;
  munmap(notebook, sizeof(Notebook));
  std::filesystem::remove_all(directory);
  AwaitNoMoreThan(before, getpid());
}

INSTANTIATE_TEST_SUITE_P(All, Restarts, ::testing::Values("shm", "unix", "tcp"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace nearcall::testing
