#ifndef NEARCALL_TESTS_CODEGEN_FAKE_CHANNEL_H_
#define NEARCALL_TESTS_CODEGEN_FAKE_CHANNEL_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "nearcall/channel.h"
#include "nearcall/internal/method.h"

namespace nearcall {

inline const char* Name(internal::MethodType type) {
  static constexpr const char* kNames[] = {"unary", "client streaming", "server streaming", "bidi streaming"};
  return kNames[static_cast<int>(type)];
}

// Stands where a connection would be: notes what generated code asks for, and answers every call with `status`.
//
// Threads: thread-compatible.
class FakeChannel : public Channel {
 public:
  absl::Status status;
  std::vector<std::string> calls;  // "/package.Service/Method (type)"
  ClientContext* context = nullptr;
  absl::Duration timeout;  // of the last context, while it lived
  std::function<void(absl::Status)> done;

  const std::string& address() const override { return address_; }
  ConnectivityState GetState(bool /*try_to_connect*/) override { return ConnectivityState::kReady; }
  bool WaitForConnected(absl::Time /*deadline*/) override { return true; }

  absl::Status UnaryCall(const internal::Method& method, ClientContext* context, internal::OutMessage /*request*/,
                         internal::InMessage /*response*/) override {
    Note("", method, context);
    return status;
  }
  void UnaryCallAsync(const internal::Method& method, ClientContext* context, internal::OutMessage /*request*/,
                      internal::InMessage /*response*/, std::function<void(absl::Status)> done) override {
    Note("async ", method, context);
    this->done = std::move(done);
  }
  std::unique_ptr<internal::ClientCall> StartCall(const internal::Method& method, ClientContext* context) override {
    Note("", method, context);
    return std::make_unique<FakeCall>(this);
  }
  internal::CallWaker* StartCallAsync(const internal::Method& method, ClientContext* context,
                                      std::shared_ptr<internal::ClientDriver> driver) override {
    Note("async ", method, context);
    driver_ = std::move(driver);
    return &waker_;
  }
  // Drives the call that was begun last to its end, with `status`.
  void DriveToEnd() {
    FakeCall call(this);
    absl::Status end;
    if (driver_->Drive(&call, &end)) std::exchange(driver_, nullptr)->OnDone(end);
  }

 private:
  struct FakeWaker final : internal::CallWaker {
    void Wake() override {}
  };
  // A stream that carries nothing and notes what is done to it.
  class FakeCall final : public internal::ClientCall {
   public:
    explicit FakeCall(FakeChannel* channel) : channel_(channel) {}
    bool Write(internal::OutMessage /*message*/, WriteOptions options) override {
      channel_->calls.push_back(options.last_message ? "write last" : "write");
      return true;
    }
    bool WritesDone() override {
      channel_->calls.push_back("writes done");
      return true;
    }
    bool Read(internal::InMessage /*message*/) override {
      channel_->calls.push_back("read");
      return false;
    }
    void WaitForInitialMetadata() override {}
    absl::Status Finish() override {
      channel_->calls.push_back("finish");
      return channel_->status;
    }
    internal::Tried TryWrite(internal::OutMessage message, WriteOptions options) override {
      return Write(message, options) ? internal::Tried::kDone : internal::Tried::kOver;
    }
    internal::Tried TryWritesDone() override { return WritesDone() ? internal::Tried::kDone : internal::Tried::kOver; }
    internal::Tried TryRead(internal::InMessage message) override {
      return Read(message) ? internal::Tried::kDone : internal::Tried::kOver;
    }
    internal::Tried TryWaitForInitialMetadata() override { return internal::Tried::kOver; }
    internal::Tried TryFinish(absl::Status* status) override {
      *status = Finish();
      return internal::Tried::kDone;
    }

   private:
    FakeChannel* const channel_;
  };

  void Note(const char* how, const internal::Method& method, ClientContext* used) {
    calls.push_back(absl::StrCat(how, method.name(), " (", Name(method.type()), ")"));
    context = used;
    timeout = used->deadline() - absl::Now();
  }

  const std::string address_ = "fake:";
  std::shared_ptr<internal::ClientDriver> driver_;
  FakeWaker waker_;
};

}  // namespace nearcall

#endif  // NEARCALL_TESTS_CODEGEN_FAKE_CHANNEL_H_
