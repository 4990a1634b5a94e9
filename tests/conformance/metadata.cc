// What travels beside the messages.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/conformance.h"

namespace nearcall::testing {
namespace {

std::vector<std::pair<std::string, std::string>> PairsOf(const CallInfo& info) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Pair& pair : info.metadata()) pairs.emplace_back(pair.key(), pair.value());
  return pairs;
}

void AddPair(google::protobuf::RepeatedPtrField<Pair>* pairs, const std::string& key, const std::string& value) {
  Pair* const pair = pairs->Add();
  pair->set_key(key);
  pair->set_value(value);
}

TEST_P(Conformance, MetadataTravelsWithTheRequest) {
  StartServer();
  const Stub stub = Connect();
  const std::vector<std::pair<std::string, std::string>> pairs = {{"plain", "value"},
                                                                  {"empty", ""},
                                                                  {"twice", "first"},
                                                                  {"twice", "second"},
                                                                  {"raw-bin", std::string("\0\1\xff\n", 4)},
                                                                  {"a-b_c.1", "all the letters of a key ~"}};
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    for (const auto& [key, value] : pairs) context.AddMetadata(key, value);
    CallInfo info;
    ASSERT_TRUE(stub->Inspect(&context, InspectRequest(), &info).ok());
    std::vector<std::pair<std::string, std::string>> expected = pairs, got = PairsOf(info);
    if (!mechanism().metadata_order) {
      const auto by_key = [](const auto& a, const auto& b) { return a.first < b.first; };
      std::stable_sort(expected.begin(), expected.end(), by_key);
      std::stable_sort(got.begin(), got.end(), by_key);
    }
    EXPECT_EQ(got, expected);
  }
  // And none of it with the next one.
  const absl::StatusOr<CallInfo> info = stub->Inspect(InspectRequest());
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->metadata_size(), 0);
}

TEST_P(Conformance, MetadataTravelsWithLargeRequests) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  context.AddMetadata("key", std::string(3000, 'v'));
  InspectRequest request;
  AddPair(request.mutable_trailing(), "unused", "x");
  for (int i = 0; i < 60; ++i) AddPair(request.mutable_initial(), "i", std::string(50, 'x'));
  CallInfo info;
  const absl::Status status = stub->Inspect(&context, request, &info);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(info.metadata_size(), 1);
  EXPECT_EQ(info.metadata(0).value().size(), 3000u);
  EXPECT_EQ(context.GetServerInitialMetadata().size(), 60u);
}

TEST_P(Conformance, MetadataKeysAreFolded) {
  StartServer();
  const Stub stub = Connect();
  ClientContext context;
  context.AddMetadata("X-MiXeD", "v");
  CallInfo info;
  ASSERT_TRUE(stub->Inspect(&context, InspectRequest(), &info).ok());
  ASSERT_EQ(info.metadata_size(), 1);
  EXPECT_EQ(info.metadata(0).key(), "x-mixed");
}

TEST_P(Conformance, MetadataThatMayNotTravelIsRefused) {
  StartServer();
  const Stub stub = Connect();
  const std::vector<std::pair<std::string, std::string>> bad = {{"", "no key"},
                                                                {"sp ace", "v"},
                                                                {"uml\xc3\xa4ut", "v"},
                                                                {"col:on", "v"},
                                                                {"value", "new\nline"},
                                                                {"value", "\xc3\xa4"},
                                                                {"value", std::string("\0", 1)},
                                                                {"grpc-timeout", "1S"},
                                                                {"nearcall-anything", "v"}};
  for (const auto& [key, value] : bad) {
    ClientContext context;
    context.AddMetadata(key, value);
    CallInfo info;
    const absl::Status status = stub->Inspect(&context, InspectRequest(), &info);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << key << ": " << status;
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, MetadataThatIsTooLargeIsRefused) {
  StartServer();
  const Stub stub = Connect();
  for (const size_t size : {8192u, 9000u, 1'000'000u}) {
    ClientContext context;
    context.AddMetadata("key", std::string(size, 'v'));
    CallInfo info;
    const absl::Status status = stub->Inspect(&context, InspectRequest(), &info);
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << size << ": " << status;
  }
  // Every size up to the limit travels.
  for (const size_t size : {7000u, 8000u, 8100u}) {
    ClientContext context;
    context.AddMetadata("key", std::string(size, 'v'));
    CallInfo info;
    const absl::Status status = stub->Inspect(&context, InspectRequest(), &info);
    EXPECT_TRUE(status.ok()) << size << ": " << status;
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, MetadataTravelsWithTheAnswer) {
  StartServer();
  const Stub stub = Connect();
  for (const int code : {0, 5}) {
    InspectRequest request;
    AddPair(request.mutable_initial(), "first", "1");
    AddPair(request.mutable_initial(), "first", "2");
    AddPair(request.mutable_trailing(), "last-bin", std::string("\xff\0", 2));
    request.set_code(code);
    ClientContext context;
    CallInfo info;
    const absl::Status status = stub->Inspect(&context, request, &info);
    EXPECT_EQ(static_cast<int>(status.code()), code);
    EXPECT_EQ(context.GetServerInitialMetadata().GetAll("first"), (std::vector<absl::string_view>{"1", "2"}));
    EXPECT_EQ(context.GetServerInitialMetadata().size(), 2u);
    EXPECT_EQ(context.GetServerTrailingMetadata().Get("last-bin").value_or("none"), std::string("\xff\0", 2));
    EXPECT_EQ(context.GetServerTrailingMetadata().size(), 1u);
  }
}

// The handler's mistake fails its call and no other.
TEST_P(Conformance, MetadataThatAHandlerMayNotAddFailsTheCall) {
  StartServer();
  const Stub stub = Connect();
  for (const bool initial : {true, false}) {
    InspectRequest request;
    AddPair(initial ? request.mutable_initial() : request.mutable_trailing(), "bad key", "v");
    const absl::Status status = stub->Inspect(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
    EXPECT_NE(status.message().find("bad key"), std::string::npos) << status;
  }
  ExpectServes(stub.get());
}

TEST_P(Conformance, MetadataOfTheAnswerThatIsTooLargeIsDropped) {
  StartServer();
  const Stub stub = Connect();
  for (const int code : {0, 5}) {
    InspectRequest request;
    AddPair(request.mutable_trailing(), "big", std::string(10'000, 'v'));
    request.set_code(code);
    ClientContext context;
    CallInfo info;
    const absl::Status status = stub->Inspect(&context, request, &info);
    EXPECT_EQ(static_cast<int>(status.code()), code) << status;
  }
  ExpectServes(stub.get());
}

}  // namespace
}  // namespace nearcall::testing
