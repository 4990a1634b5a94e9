// The reflection service, as a tool sees it that knows nothing of the server.

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/descriptor_database.h"
#include "grpc/reflection/v1/reflection.nearcall.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.nearcall.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "nearcall/options.pb.h"
#include "tests/services/fixture.h"

namespace nearcall::testing {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;

struct V1 {
  using Service = grpc::reflection::v1::ServerReflection;
  using Request = grpc::reflection::v1::ServerReflectionRequest;
  using Response = grpc::reflection::v1::ServerReflectionResponse;
};
struct V1Alpha {
  using Service = grpc::reflection::v1alpha::ServerReflection;
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;
};

constexpr char kTestProto[] = "protos/testing/test_service.proto";
constexpr char kOptionsProto[] = "nearcall/options.proto";
constexpr char kDescriptorProto[] = "google/protobuf/descriptor.proto";
constexpr int kNotFound = static_cast<int>(absl::StatusCode::kNotFound);

// A request, and an answer that must fit it.
template <class Api>
typename Api::Request File(const std::string& name) {
  typename Api::Request request;
  request.set_file_by_filename(name);
  return request;
}
template <class Api>
typename Api::Request Symbol(const std::string& name) {
  typename Api::Request request;
  request.set_file_containing_symbol(name);
  return request;
}
template <class Api>
typename Api::Request Extension(const std::string& type, int number) {
  typename Api::Request request;
  request.mutable_file_containing_extension()->set_containing_type(type);
  request.mutable_file_containing_extension()->set_extension_number(number);
  return request;
}
template <class Api>
typename Api::Request ExtensionNumbers(const std::string& type) {
  typename Api::Request request;
  request.set_all_extension_numbers_of_type(type);
  return request;
}
template <class Api>
typename Api::Request Services() {
  typename Api::Request request;
  request.set_list_services("*");
  return request;
}

// One stream to the service.
template <class Api>
class Client {
 public:
  explicit Client(std::shared_ptr<Channel> channel)
      : stub_(Api::Service::NewStub(channel)), stream_(stub_->ServerReflectionInfo(&context_)) {}
  ~Client() {
    stream_->WritesDone();
    typename Api::Response none;
    EXPECT_FALSE(stream_->Read(&none));
    EXPECT_TRUE(stream_->Finish().ok());
  }

  typename Api::Response Ask(typename Api::Request request) {
    request.set_host("host.example");
    typename Api::Response response;
    EXPECT_TRUE(stream_->Write(request) && stream_->Read(&response));
    EXPECT_EQ(response.valid_host(), "host.example");
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
    return response;
  }
  // The names of the files in the answer, in order.
  std::vector<std::string> FilesOf(const typename Api::Request& request) {
    const typename Api::Response response = Ask(request);
    EXPECT_TRUE(response.has_file_descriptor_response()) << response.DebugString();
    std::vector<std::string> names;
    for (const std::string& bytes : response.file_descriptor_response().file_descriptor_proto()) {
      FileDescriptorProto file;
      EXPECT_TRUE(file.ParseFromString(bytes));
      names.push_back(file.name());
    }
    return names;
  }
  void ExpectError(const typename Api::Request& request, int code) {
    const typename Api::Response response = Ask(request);
    ASSERT_TRUE(response.has_error_response()) << response.DebugString();
    EXPECT_EQ(response.error_response().error_code(), code);
    EXPECT_THAT(response.error_response().error_message(), Not(IsEmpty()));
  }

 private:
  std::unique_ptr<typename Api::Service::Stub> stub_;
  ClientContext context_;
  std::unique_ptr<ClientReaderWriter<typename Api::Request, typename Api::Response>> stream_;
};

class ReflectionTest : public ServicesTest {
 protected:
  void SetUp() override {
    google::protobuf::LinkMessageReflection<MethodPolicy>();  // links options.proto
    builder_.EnableReflection();
    Start();
  }
  template <class Api>
  Client<Api> NewClient() {
    return Client<Api>(channel_);
  }
  // Has both versions do the same.
  template <class Check>
  void ForBoth(const Check& check) {
    check(V1());
    check(V1Alpha());
  }
};

class NoReflectionTest : public ServicesTest {};

TEST_P(NoReflectionTest, OffUnlessAskedFor) {
  Start();
  ClientContext context;
  const auto stub = StubOf<V1::Service>();
  EXPECT_EQ(stub->ServerReflectionInfo(&context)->Finish().code(), absl::StatusCode::kUnimplemented);
}

TEST_P(ReflectionTest, ListsServices) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    const auto response = NewClient<Api>().Ask(Services<Api>());
    std::vector<std::string> names;
    for (const auto& service : response.list_services_response().service()) names.push_back(service.name());
    EXPECT_THAT(names, ElementsAre("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
                                   "nearcall.testing.TestService"));
  });
}

TEST_P(ReflectionTest, FileByName) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    EXPECT_THAT(NewClient<Api>().FilesOf(File<Api>(kTestProto)), ElementsAre(kTestProto));
    EXPECT_THAT(NewClient<Api>().FilesOf(File<Api>(kOptionsProto)),
                ElementsAre(kOptionsProto, kDescriptorProto, "google/protobuf/duration.proto"));
    // As it describes itself.
    EXPECT_THAT(NewClient<Api>().FilesOf(File<Api>(Api::Request::descriptor()->file()->name())),
                ElementsAre(Api::Request::descriptor()->file()->name()));
  });
}

TEST_P(ReflectionTest, FileOfEachKindOfSymbol) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    const std::map<std::string, std::string> files = {
        {"nearcall.testing.TestService", kTestProto},                          // a service
        {"nearcall.testing.TestService.Echo", kTestProto},                     // a method
        {"nearcall.testing.AbsentService", kTestProto},                        // that nobody serves
        {"nearcall.testing.Payload", kTestProto},                              // a message
        {"nearcall.testing.Payload.number", kTestProto},                       // a field
        {"nearcall.method", kOptionsProto},                                    // an extension
        {"google.protobuf.FieldOptions.CType", kDescriptorProto},              // a nested enum
        {"google.protobuf.FieldOptions.CORD", kDescriptorProto},               // its value
        {"google.protobuf.DescriptorProto.ExtensionRange", kDescriptorProto},  // a nested message
        {"grpc.reflection.v1.ServerReflectionRequest.message_request",
         "grpc/reflection/v1/reflection.proto"},  // a oneof
    };
    for (const auto& [symbol, file] : files) {
      EXPECT_EQ(NewClient<Api>().FilesOf(Symbol<Api>(symbol)).front(), file) << symbol;
    }
  });
}

TEST_P(ReflectionTest, Extensions) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    constexpr char kExtended[] = "google.protobuf.MethodOptions";
    EXPECT_EQ(NewClient<Api>().FilesOf(Extension<Api>(kExtended, nearcall::method.number())).front(), kOptionsProto);
    const auto numbers = NewClient<Api>().Ask(ExtensionNumbers<Api>(kExtended)).all_extension_numbers_response();
    EXPECT_EQ(numbers.base_type_name(), kExtended);
    EXPECT_THAT(numbers.extension_number(), Contains(nearcall::method.number()));
    const auto none =
        NewClient<Api>().Ask(ExtensionNumbers<Api>("nearcall.testing.Payload")).all_extension_numbers_response();
    EXPECT_EQ(none.base_type_name(), "nearcall.testing.Payload");
    EXPECT_THAT(none.extension_number(), IsEmpty());
  });
}

TEST_P(ReflectionTest, WhatIsNotThere) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    Client<Api> client(channel_);
    for (const std::string& name :
         {std::string(), std::string("."), std::string("nearcall"), std::string("nearcall.testing"),
          std::string(".nearcall.testing.Payload"), std::string("nearcall.testing.Payload."),
          std::string("nearcall.testing.Payload.nothing"), std::string("nearcall.testing.TestService.Absent"),
          std::string("/etc/passwd"), std::string("../") + kTestProto, std::string("a\0b", 3),
          std::string(1 << 20, 'x'), std::string(10000, '.')}) {
      client.ExpectError(File<Api>(name), kNotFound);
      client.ExpectError(Symbol<Api>(name), kNotFound);
      client.ExpectError(ExtensionNumbers<Api>(name), kNotFound);
      client.ExpectError(Extension<Api>(name, 1), kNotFound);
    }
    client.ExpectError(File<Api>("nearcall.testing.Payload"), kNotFound);
    client.ExpectError(Symbol<Api>(kTestProto), kNotFound);
    client.ExpectError(ExtensionNumbers<Api>("nearcall.testing.TestService"), kNotFound);
    for (const int number : {0, -1, 1, 58126, INT32_MIN, INT32_MAX}) {
      client.ExpectError(Extension<Api>("google.protobuf.MethodOptions", number), kNotFound);
    }
    client.ExpectError(typename Api::Request(), static_cast<int>(absl::StatusCode::kUnimplemented));
    EXPECT_THAT(client.FilesOf(File<Api>(kTestProto)), ElementsAre(kTestProto));  // the stream goes on
  });
}

TEST_P(ReflectionTest, ImportsTravelOnceInAStream) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    Client<Api> client(channel_);
    EXPECT_THAT(client.FilesOf(File<Api>(kDescriptorProto)), ElementsAre(kDescriptorProto));
    EXPECT_THAT(client.FilesOf(File<Api>(kOptionsProto)), ElementsAre(kOptionsProto, "google/protobuf/duration.proto"));
    // What is asked for by name comes each time.
    EXPECT_THAT(client.FilesOf(File<Api>(kOptionsProto)), ElementsAre(kOptionsProto));
    EXPECT_THAT(client.FilesOf(Symbol<Api>("google.protobuf.Duration")), ElementsAre("google/protobuf/duration.proto"));
    // Another stream has none of it.
    EXPECT_EQ(NewClient<Api>().FilesOf(File<Api>(kOptionsProto)).size(), 3);
  });
}

// A client that starts with nothing but the name of a service builds what the server has.
TEST_P(ReflectionTest, AClientCanRebuildEveryServedFile) {
  ForBoth([this](auto api) {
    using Api = decltype(api);
    google::protobuf::SimpleDescriptorDatabase database;
    std::set<std::string> known;
    Client<Api> client(channel_);
    const auto list = client.Ask(Services<Api>());
    for (const auto& service : list.list_services_response().service()) {
      const auto answer = client.Ask(Symbol<Api>(service.name()));
      for (const std::string& bytes : answer.file_descriptor_response().file_descriptor_proto()) {
        FileDescriptorProto file;
        ASSERT_TRUE(file.ParseFromString(bytes));
        if (!known.insert(file.name()).second) continue;
        ASSERT_TRUE(database.Add(file));
      }
    }
    DescriptorPool pool(&database);
    for (const auto& service : list.list_services_response().service()) {
      const auto* const rebuilt = pool.FindServiceByName(service.name());
      ASSERT_NE(rebuilt, nullptr) << service.name();
      const auto* const linked = DescriptorPool::generated_pool()->FindServiceByName(service.name());
      EXPECT_EQ(rebuilt->file()->DebugString(), linked->file()->DebugString());
    }
    EXPECT_THAT(known, IsSupersetOf({kTestProto, "grpc/reflection/v1/reflection.proto"}));
  });
}

TEST_P(ReflectionTest, AMessageThatIsNoneEndsItsStreamOnly) {
  static const internal::Method method("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                       internal::MethodType::kBidiStreaming);
  for (const std::string& garbage : {std::string("\xff\xff\xff"), std::string("\x2a\x7f"), std::string(1000, '\x0b')}) {
    ClientContext context;
    const std::unique_ptr<internal::ClientCall> call = channel_->StartCall(method, &context);
    EXPECT_TRUE(call->Write(internal::OutMessage(garbage), WriteOptions()));
    std::string answer;
    EXPECT_FALSE(call->Read(internal::InMessage(&answer)));
    call->Finish().IgnoreError();
  }
  EXPECT_THAT(NewClient<V1>().FilesOf(File<V1>(kTestProto)), ElementsAre(kTestProto));
}

TEST_P(ReflectionTest, ManyStreamsAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this] {
      Client<V1> client(channel_);
      for (int j = 0; j < 20; ++j) {
        EXPECT_EQ(client.FilesOf(Symbol<V1>("nearcall.method")).front(), kOptionsProto);
        client.ExpectError(Symbol<V1>(absl::StrCat("unknown", j)), kNotFound);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ReflectionTest, AnOpenStreamDoesNotHoldAShutdownUp) {
  const auto stub = StubOf<V1::Service>();
  ClientContext context;
  auto stream = stub->ServerReflectionInfo(&context);
  V1::Response response;
  EXPECT_TRUE(stream->Write(Services<V1>()));
  EXPECT_TRUE(stream->Read(&response));
  server_->Shutdown();  // does not return before the stream has ended
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().code(), absl::StatusCode::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Over, ReflectionTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);
INSTANTIATE_TEST_SUITE_P(Over, NoReflectionTest, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
