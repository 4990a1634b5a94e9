#include "tests/hostile/plays.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"
#include "runtime/base/clock.h"
#include "tests/testing/watchdog.h"

namespace nearcall::testing {

std::string PayloadBytes(size_t data_size, int64_t number) {
  Payload payload;
  payload.set_data(std::string(data_size, 'p'));
  payload.set_number(number);
  return payload.SerializeAsString();
}

// --- Hostile clients ---

void PlayToServer(const std::string& address, const ClientScript& script, absl::FunctionRef<void()> meanwhile) {
  if (script.play_at) {
    script.play_at(address);
    return;
  }
  const std::unique_ptr<Peer> peer = ConnectPeer(address);
  ASSERT_NE(peer, nullptr);
  script.play(peer.get());
  meanwhile();
  switch (script.outcome.what) {
    case ClientScript::Outcome::kHungUp:
      peer->AwaitEnd();
      break;
    case ClientScript::Outcome::kAnswered:
      EXPECT_EQ(peer->AwaitResponse(kCall), script.outcome.code);
      [[fallthrough]];
    case ClientScript::Outcome::kServed: {
      const uint32_t last = CallId(0, 0xfff0);
      peer->Send(Request("Echo", PayloadBytes(100), last));
      EXPECT_EQ(peer->AwaitResponse(last), 0);
      break;
    }
    case ClientScript::Outcome::kNothing:
      break;
  }
}

// --- Hostile servers ---

namespace {

void Serve(RawSocket client, const ServerScript& script) {
  if (script.play_at) {
    script.play_at(&client);
    return;
  }
  const std::unique_ptr<Peer> peer = WelcomePeer(std::move(client));
  FrameHeader request;
  std::string payload;
  if (peer != nullptr && peer->Receive(&request, &payload)) script.play(peer.get(), request.call);
}

absl::Status Call(TestService::Stub* stub, ServerScript::Call call, void (*prepare)(ClientContext*)) {
  ClientContext context;
  if (prepare != nullptr) prepare(&context);
  Payload request, response;
  switch (call) {
    case ServerScript::kUnary:
      return stub->Echo(&context, request, &response);
    case ServerScript::kSeveral:
      for (int i = 0; i < 5; ++i) {
        if (absl::Status status = stub->Echo(request).status(); !status.ok()) return status;
      }
      return absl::OkStatus();
    case ServerScript::kLargeUnary:
      request.set_data(std::string(2'000'000, 'x'));
      return stub->Echo(&context, request, &response);
    case ServerScript::kStream: {
      const auto stream = stub->Down(&context, DownRequest());
      while (stream->Read(&response)) {
      }
      return stream->Finish();
    }
    case ServerScript::kUp: {
      const auto stream = stub->Up(&context, &response);
      stream->Write(request);
      return stream->Finish();
    }
  }
  return absl::UnknownError("no such call");
}

}  // namespace

std::unique_ptr<RawServer> HostileServerOf(const std::string& address, const ServerScript& script) {
  return std::make_unique<RawServer>(address, [&script](RawSocket client) { Serve(std::move(client), script); });
}

void CallHostileServer(const std::string& address, const ServerScript& script) {
  ChannelOptions options;
  if (script.with != nullptr) script.with(&options);
  const auto stub = TestService::NewStub(CreateChannel(address, options));
  const absl::Status status = Call(stub.get(), script.call, script.context);
  EXPECT_NE(std::find(script.outcomes.begin(), script.outcomes.end(), status.code()), script.outcomes.end()) << status;
}

// --- Who means well ---

GoodClient::GoodClient(const std::string& address)
    : stub_(TestService::NewStub(CreateChannel(address))), thread_([this] {
        while (!stop_) Call();
      }) {
  AwaitMore();
}

GoodClient::~GoodClient() {
  stop_ = true;
  thread_.join();
}

void GoodClient::AwaitMore(int64_t calls) {
  const int64_t now = calls_;
  Await([&] { return calls_ >= now + calls; });
}

void GoodClient::Time(std::vector<LatencyHistogram*> histograms, int64_t calls) {
  absl::MutexLock lock(&mu_);
  to_be_timed_ = calls;
  histograms_ = std::move(histograms);
}

void GoodClient::Call() {
  Payload request;
  request.set_number(calls_ + 1);
  request.set_data(std::string(static_cast<size_t>(calls_ % 1000), 'g'));
  const int64_t begin = MonotonicNanos();
  const absl::StatusOr<Payload> response = stub_->Echo(request);
  {
    const int64_t time = MonotonicNanos() - begin;
    absl::MutexLock lock(&mu_);
    if (--to_be_timed_ >= 0) {
      for (LatencyHistogram* const histogram : histograms_) histogram->Record(time);
    }
  }
  EXPECT_TRUE(response.ok()) << "a good client's call failed: " << response.status();
  EXPECT_TRUE(!response.ok() || response->number() == request.number());
  ++calls_;
}

}  // namespace nearcall::testing
