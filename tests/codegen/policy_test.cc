// What the options of methods come to, and what the plugin says to bad ones.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "codegen/generator.h"
#include "gmock/gmock.h"
#include "google/protobuf/compiler/parser.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "gtest/gtest.h"
#include "nearcall/options.pb.h"
#include "tests/codegen/testdata/policies.nearcall.h"

namespace nearcall {
namespace codegen {
namespace {

using ::google::protobuf::DescriptorPool;
using ::google::protobuf::FileDescriptorProto;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Takes generated files into memory.
class MemoryContext final : public google::protobuf::compiler::GeneratorContext {
 public:
  std::map<std::string, std::string> files;

  google::protobuf::io::ZeroCopyOutputStream* Open(const std::string& name) override {
    return new google::protobuf::io::StringOutputStream(&files[name]);
  }
};

struct Outcome {
  bool accepted = false;
  std::string source;  // s.nearcall.cc
  std::string error;
};

// Has the plugin generate code for a service S with these methods.
Outcome Generate(const std::string& methods) {
  google::protobuf::LinkMessageReflection<MethodPolicy>();  // options.proto is in the generated pool
  const std::string text = absl::StrCat(
      "syntax = \"proto3\"; package p;\n"
      "import \"google/protobuf/empty.proto\"; import \"nearcall/options.proto\";\n"
      "message M {}\n service S {\n",
      methods, "}\n");
  google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
  google::protobuf::io::Tokenizer tokenizer(&input, nullptr);
  FileDescriptorProto proto;
  google::protobuf::compiler::Parser parser;
  EXPECT_TRUE(parser.Parse(&tokenizer, &proto)) << text;
  proto.set_name("s.proto");
  DescriptorPool pool(DescriptorPool::generated_pool());
  const google::protobuf::FileDescriptor* const file = pool.BuildFile(proto);
  EXPECT_NE(file, nullptr) << text;
  Outcome outcome;
  if (file == nullptr) return outcome;
  MemoryContext context;
  outcome.accepted = Generator().Generate(file, "", &context, &outcome.error);
  outcome.source = context.files["s.nearcall.cc"];
  return outcome;
}

// A method that returns `response`, with these options.
std::string Call(const std::string& options, const std::string& response = "M") {
  return absl::StrCat("rpc Call(M) returns (", response, ") { ", options, " }\n");
}

constexpr char kEmpty[] = "google.protobuf.Empty";

void ExpectRefused(const std::string& methods, const std::string& error) {
  const Outcome outcome = Generate(methods);
  EXPECT_FALSE(outcome.accepted) << methods;
  EXPECT_THAT(outcome.error, HasSubstr(error)) << methods;
  EXPECT_THAT(outcome.source, IsEmpty()) << methods;
}

void ExpectTraits(const std::string& methods, const std::string& traits) {
  const Outcome outcome = Generate(methods);
  EXPECT_TRUE(outcome.accepted) << outcome.error;
  EXPECT_THAT(outcome.source, HasSubstr(absl::StrCat("MethodTraits{", traits, "}"))) << methods;
}

TEST(PolicyTest, NoOptionsNoTraits) {
  for (const char* options :
       {"", "option deprecated = true;", "option (nearcall.method) = {};", "option (nearcall.method).one_way = false;",
        "option idempotency_level = IDEMPOTENCY_UNKNOWN;"}) {
    const Outcome outcome = Generate(Call(options));
    EXPECT_TRUE(outcome.accepted) << outcome.error;
    EXPECT_THAT(outcome.source, HasSubstr("/p.S/Call")) << options;
    EXPECT_THAT(outcome.source, Not(HasSubstr("MethodTraits"))) << options;
  }
}

TEST(PolicyTest, Traits) {
  ExpectTraits(Call("option (nearcall.method).one_way = true;", kEmpty),
               "/*one_way=*/true, /*idempotent=*/false, /*timeout_ns=*/0");
  ExpectTraits(Call("option (nearcall.method).idempotent = true;"),
               "/*one_way=*/false, /*idempotent=*/true, /*timeout_ns=*/0");
  ExpectTraits(Call("option idempotency_level = IDEMPOTENT;"),
               "/*one_way=*/false, /*idempotent=*/true, /*timeout_ns=*/0");
  ExpectTraits(Call("option idempotency_level = NO_SIDE_EFFECTS; option (nearcall.method).idempotent = false;"),
               "/*one_way=*/false, /*idempotent=*/true, /*timeout_ns=*/0");
  ExpectTraits(Call("option (nearcall.method).default_timeout = { seconds: 2 nanos: 1 };"),
               "/*one_way=*/false, /*idempotent=*/false, /*timeout_ns=*/2000000001");
}

TEST(PolicyTest, TheLongestTimeout) {
  ExpectTraits(Call("option (nearcall.method).default_timeout = { seconds: 31536000 };"),
               "/*one_way=*/false, /*idempotent=*/false, /*timeout_ns=*/31536000000000000");
  for (const char* timeout :
       {"seconds: 31536000 nanos: 1", "seconds: 31536001", "seconds: 9223372036", "seconds: 9223372036854775807", "",
        "seconds: -1", "seconds: -9223372036854775808", "nanos: -1", "nanos: 1000000000", "seconds: 1 nanos: -1"}) {
    ExpectRefused(Call(absl::StrCat("option (nearcall.method).default_timeout = { ", timeout, " };")),
                  "p.S.Call: default_timeout must be more than 0 and at most 365 days");
  }
}

TEST(PolicyTest, OneWayNeedsAMethodWithoutAnswer) {
  const std::string one_way = " { option (nearcall.method).one_way = true; }\n";
  ExpectRefused("rpc Call(M) returns (M)" + one_way,
                "p.S.Call: one_way is for methods that return google.protobuf.Empty, not p.M");
  ExpectRefused("rpc Call(stream M) returns (google.protobuf.Empty)" + one_way,
                "p.S.Call: one_way is for methods without streams");
  ExpectRefused("rpc Call(M) returns (stream google.protobuf.Empty)" + one_way,
                "p.S.Call: one_way is for methods without streams");
  ExpectRefused("rpc Call(stream M) returns (stream google.protobuf.Empty)" + one_way,
                "p.S.Call: one_way is for methods without streams");
}

TEST(PolicyTest, EveryBadMethodIsNamed) {
  const Outcome outcome = Generate(
      "rpc First(M) returns (M) { option (nearcall.method).one_way = true; }\n"
      "rpc Good(M) returns (M);\n"
      "rpc Second(M) returns (M) { option (nearcall.method).default_timeout = {}; }\n");
  EXPECT_FALSE(outcome.accepted);
  EXPECT_EQ(outcome.error,
            "p.S.First: one_way is for methods that return google.protobuf.Empty, not p.M\n"
            "p.S.Second: default_timeout must be more than 0 and at most 365 days, with nanos from 0 to 999999999, not "
            "{ seconds: 0 nanos: 0 }");
}

TEST(PolicyTest, ServicesCarryTheTraits) {
  const ::policies::Thermostat::Service service;
  std::vector<std::string> methods;
  for (const auto& entry : service.entries()) {
    const nearcall::internal::MethodTraits& traits = entry.method->traits();
    const std::string name(entry.method->name());
    methods.push_back(absl::StrCat(name.substr(name.rfind('/') + 1), traits.one_way ? " one-way" : "",
                                   traits.idempotent ? " idempotent" : "", " ", traits.timeout_ns));
  }
  EXPECT_THAT(methods, ElementsAre("Plain 0", "Report one-way 0", "Read idempotent 1250000000", "Look idempotent 0",
                                   "Set idempotent 0", "Unknown 0", "Watch 31536000000000000",
                                   "Everything one-way idempotent 1"));
}

}  // namespace
}  // namespace codegen
}  // namespace nearcall
