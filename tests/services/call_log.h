#ifndef NEARCALL_TESTS_SERVICES_CALL_LOG_H_
#define NEARCALL_TESTS_SERVICES_CALL_LOG_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "nearcall/interceptor.h"
#include "nearcall/nearcall.h"

namespace nearcall::testing {

// What interceptors saw, in order.
//
// Threads: thread-safe.
class CallLog {
 public:
  void Add(std::string event) {
    absl::MutexLock lock(&mu_);
    events_.push_back(std::move(event));
  }
  std::vector<std::string> events() const {
    absl::MutexLock lock(&mu_);
    return events_;
  }
  // Those since the last time, once `count` calls have ended since then.
  std::vector<std::string> AfterEnds(int count) {
    absl::MutexLock lock(&mu_);
    const auto ended = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      int ends = 0;
      for (const std::string& event : events_) ends += absl::StrContains(event, " end ") ? 1 : 0;
      return ends >= count;
    };
    mu_.Await(absl::Condition(&ended));
    return std::exchange(events_, {});
  }
  // Waits until this was seen.
  void Await(const std::string& event) {
    absl::MutexLock lock(&mu_);
    const auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return std::find(events_.begin(), events_.end(), event) != events_.end();
    };
    mu_.Await(absl::Condition(&seen));
  }

 private:
  mutable absl::Mutex mu_;
  std::vector<std::string> events_ ABSL_GUARDED_BY(mu_);
};

class LoggingListener final : public CallListener {
 public:
  LoggingListener(std::string name, CallLog* log) : name_(std::move(name)), log_(log) {}
  void OnMessageSent(size_t bytes) override { log_->Add(absl::StrCat(name_, " sent ", bytes)); }
  void OnMessageReceived(size_t bytes) override { log_->Add(absl::StrCat(name_, " received ", bytes)); }
  void OnEnd(const absl::Status& status, const CallTotals& totals) override {
    EXPECT_GE(totals.duration, absl::ZeroDuration());
    log_->Add(absl::StrCat(name_, " end ", absl::StatusCodeToString(status.code()), " ", totals.messages_sent, "/",
                           totals.bytes_sent, " ", totals.messages_received, "/", totals.bytes_received));
  }

 private:
  const std::string name_;
  CallLog* const log_;
};

inline std::string Describe(const MethodInfo& method) {
  const absl::string_view name = method.name;
  return absl::StrCat(name.substr(name.rfind('/') + 1), method.client_streaming ? " up" : "",
                      method.server_streaming ? " down" : "");
}

class LoggingClient final : public ClientInterceptor {
 public:
  LoggingClient(std::string name, CallLog* log) : name_(std::move(name)), log_(log) {}
  std::unique_ptr<CallListener> OnCall(const MethodInfo& method, ClientContext* context) override {
    EXPECT_GT(method.id, 0);
    log_->Add(absl::StrCat(name_, " call ", Describe(method)));
    context->AddMetadata("seen-by", name_);
    return std::make_unique<LoggingListener>(name_, log_);
  }

 private:
  const std::string name_;
  CallLog* const log_;
};

class LoggingServer final : public ServerInterceptor {
 public:
  LoggingServer(std::string name, CallLog* log) : name_(std::move(name)), log_(log) {}
  absl::StatusOr<std::unique_ptr<CallListener>> OnCall(const MethodInfo& method, ServerContext* context) override {
    EXPECT_EQ(context->method(), method.name);
    EXPECT_GT(method.id, 0);
    log_->Add(absl::StrCat(name_, " call ", Describe(method)));
    if (refusal_.ok()) return std::make_unique<LoggingListener>(name_, log_);
    return refusal_;
  }
  void Refuse(absl::Status status) { refusal_ = std::move(status); }

 private:
  const std::string name_;
  CallLog* const log_;
  absl::Status refusal_;
};

}  // namespace nearcall::testing

#endif  // NEARCALL_TESTS_SERVICES_CALL_LOG_H_
