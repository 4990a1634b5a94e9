#include "tests/conformance/conformance.h"

#include <atomic>
#include <utility>

#include "tests/testing/fault.h"
#include "tests/testing/reactor_stub.h"

namespace nearcall::testing {

std::vector<Setup> SetupsOf(const Mechanism& mechanism) {
  std::vector<Setup> setups = {{mechanism, Where::kThisProcess}};
  if (mechanism.between_processes) setups.push_back({mechanism, Where::kOwnProcess});
  return setups;
}

std::vector<Setup> SetupsWithReactorsOf(const Mechanism& mechanism) {
  std::vector<Setup> setups = SetupsOf(mechanism);
  if (setups.size() == 1) {
    setups.push_back({mechanism, Where::kThisProcess, Form::kReactors, Form::kBlocking});
    setups.push_back({mechanism, Where::kThisProcess, Form::kBlocking, Form::kReactors});
  }
  for (const Setup& plain : SetupsOf(mechanism)) {
    setups.push_back({mechanism, plain.server, Form::kReactors, Form::kReactors});
  }
  return setups;
}

std::string NameOf(const ::testing::TestParamInfo<Setup>& info) {
  const Setup& setup = info.param;
  std::string name = setup.server == Where::kThisProcess ? "threads" : "processes";
  if (setup.service == setup.stub) return setup.stub == Form::kReactors ? name + "_reactors" : name;
  return name + (setup.stub == Form::kReactors ? "_client_reactors" : "_server_reactors");
}

Conformance::Stub Conformance::StubOn(std::shared_ptr<Channel> channel) {
  if (GetParam().stub == Form::kReactors) return NewReactorStub(std::move(channel));
  return TestService::NewStub(std::move(channel));
}

Conformance::Stub Conformance::Connect(const ChannelOptions& options) const {
  return StubOn(CreateChannel(address(), UnderFault(options)));
}

void Conformance::ExpectServes(TestService::StubInterface* stub) {
  static std::atomic<int64_t> number{0};
  ClientContext context;
  Payload response;
  const Payload request = PayloadOf(20, ++number);
  const absl::Status status = stub->Echo(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(response.number(), request.number());
  EXPECT_EQ(response.data(), request.data());
}

GateRequest Conformance::Gate(const std::string& gate) {
  GateRequest request;
  request.set_gate(gate);
  return request;
}

void Conformance::OpenGate(TestService::StubInterface* stub, const std::string& gate) {
  const absl::Status status = stub->Open(Gate(gate)).status();
  ASSERT_TRUE(status.ok()) << status;
}

GateState Conformance::Look(TestService::StubInterface* stub, const std::string& gate) {
  const absl::StatusOr<GateState> state = stub->Look(Gate(gate));
  EXPECT_TRUE(state.ok()) << state.status();
  return state.value_or(GateState());
}

void Conformance::AwaitAtGate(TestService::StubInterface* stub, const std::string& gate, int64_t entered) {
  Await([&] { return Look(stub, gate).entered() >= entered; });
}

void Conformance::AwaitCancelled(TestService::StubInterface* stub, const std::string& gate, int64_t cancelled) {
  Await([&] { return Look(stub, gate).cancelled() >= cancelled; });
}

Payload PayloadOf(size_t data_size, int64_t number) {
  std::string data(data_size, '\0');
  for (size_t i = 0; i < data_size; ++i) data[i] = static_cast<char>(i * 7 + (i >> 8) * 13 + (i >> 16) * 29);
  Payload payload;
  payload.set_data(std::move(data));
  payload.set_number(number);
  return payload;
}

Payload PayloadOfExactly(size_t serialized_size) {
  // A tag, the length in one to four bytes, the data; where the length itself grows, the number takes up the slack.
  Payload payload = PayloadOf(serialized_size);
  const size_t over = payload.ByteSizeLong() - serialized_size;
  payload = PayloadOf(serialized_size - over);
  if (payload.ByteSizeLong() != serialized_size) {
    payload = PayloadOf(serialized_size - over - 1);
    payload.set_number(1);
  }
  EXPECT_EQ(payload.ByteSizeLong(), serialized_size);
  return payload;
}

}  // namespace nearcall::testing
