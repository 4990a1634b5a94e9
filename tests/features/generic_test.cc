// Calls and services without generated code.

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "protos/testing/test_service.pb.h"
#include "tests/features/feature_test.h"

namespace nearcall::testing {
namespace {

constexpr char kEcho[] = "/nearcall.testing.TestService/Echo";
constexpr char kUp[] = "/nearcall.testing.TestService/Up";
constexpr char kChat[] = "/nearcall.testing.TestService/Chat";

Payload PayloadWith(const std::string& data, int64_t number) {
  Payload payload;
  payload.set_data(data);
  payload.set_number(number);
  return payload;
}

// Passes every call on to another server, message by message; blocking.
class Proxy final : public GenericService {
 public:
  explicit Proxy(const std::string& upstream) : stub_(CreateChannel(upstream)) {}

  absl::Status Call(ServerContext* context, ServerReaderWriter<std::string, std::string>* stream) override {
    const std::unique_ptr<ClientContext> onward = ClientContext::FromServerContext(*context);
    const std::unique_ptr<ClientGenericReaderWriter> call = stub_.Call(onward.get(), context->method());
    std::string message;
    // In turns: enough for calls of which one side speaks first and the other answers.
    while (stream->Read(&message)) {
      if (!call->Write(message)) break;
    }
    call->WritesDone();
    while (call->Read(&message)) stream->Write(message);
    return call->Finish();
  }

 private:
  GenericStub stub_;
};

// Echoes every message of every call, with the method's name in front.
class CallbackEcho final : public CallbackGenericService {
 public:
  ServerGenericBidiReactor* CreateReactor(CallbackServerContext* context) override {
    if (context->method() == "/No/No") return nullptr;
    return new Reactor(std::string(context->method()));
  }

 private:
  class Reactor final : public ServerGenericBidiReactor {
   public:
    explicit Reactor(std::string method) : method_(std::move(method)) { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(absl::OkStatus());
      message_ = absl::StrCat(method_, " ", message_);
      StartWrite(&message_);
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&message_);
    }
    void OnDone() override { delete this; }

   private:
    const std::string method_;
    std::string message_;
  };
};

class Generic : public FeatureTest {
 protected:
  // A server with `builder`'s services, on a new address. It goes before they do.
  std::unique_ptr<Server> Serve(ServerBuilder* builder) {
    builder->AddListeningPort(AddressForServer());
    absl::StatusOr<std::unique_ptr<Server>> server = builder->BuildAndStart();
    EXPECT_EQ(server.status(), absl::OkStatus());
    return *std::move(server);
  }
};

TEST_P(Generic, UnaryCalls) {
  StartServer();
  GenericStub stub(CreateChannel(address()));
  for (int i = 0; i < 3; ++i) {
    ClientContext context;
    std::string response;
    const std::string request = PayloadWith("a", i).SerializeAsString();
    ASSERT_EQ(stub.UnaryCall(&context, kEcho, request, &response), absl::OkStatus());
    EXPECT_EQ(response, request);
  }
  ClientContext context;
  std::string response;
  EXPECT_EQ(stub.UnaryCall(&context, "/no.Service/No", "", &response).code(), absl::StatusCode::kUnimplemented);
  ClientContext bad_context;
  EXPECT_EQ(stub.UnaryCall(&bad_context, kEcho, "\xff\xff", &response).code(), absl::StatusCode::kInvalidArgument);
}

// They are refused before they get to the connection, where they would end all calls.
TEST_P(Generic, NamesThatNoMethodHas) {
  StartServer();
  GenericStub stub(CreateChannel(address()));
  ClientContext open_context;
  const std::unique_ptr<ClientGenericReaderWriter> open = stub.Call(&open_context, kChat);
  for (const char* const name : {"/no.Service/N o", "/no.Service/No\n", "/no.Service/\xff", "/no.Service/\xc3\xa9"}) {
    ClientContext context;
    std::string response;
    EXPECT_EQ(stub.UnaryCall(&context, name, "", &response).code(), absl::StatusCode::kInvalidArgument);
    ClientContext stream_context;
    EXPECT_EQ(stub.Call(&stream_context, name)->Finish().code(), absl::StatusCode::kInvalidArgument);
  }
  std::string echo;
  EXPECT_TRUE(open->Write(PayloadWith("a", 1).SerializeAsString()));
  EXPECT_TRUE(open->Read(&echo));
  open->WritesDone();
  EXPECT_EQ(open->Finish(), absl::OkStatus());
}

TEST_P(Generic, AsyncUnaryCalls) {
  StartServer();
  std::string response;
  ClientContext context;
  const std::string request = PayloadWith("a", 1).SerializeAsString();
  absl::Notification done;
  absl::Status status;
  // The stub need not live as long as its calls.
  GenericStub(CreateChannel(address())).UnaryCallAsync(&context, kEcho, &request, &response, [&](absl::Status s) {
    status = std::move(s);
    done.Notify();
  });
  done.WaitForNotification();
  EXPECT_TRUE(status.ok() ? response == request : status.code() == absl::StatusCode::kCancelled) << status;
}

TEST_P(Generic, ManyNames) {
  StartServer();
  GenericStub stub(CreateChannel(address()));
  for (int i = 0; i < 600; ++i) {  // more than a stub remembers
    ClientContext context;
    std::string response;
    EXPECT_EQ(stub.UnaryCall(&context, absl::StrCat("/no.Service/No", i), "", &response),
              absl::UnimplementedError(absl::StrCat("this server has no method /no.Service/No", i)));
  }
  ClientContext context;
  std::string response;
  EXPECT_EQ(stub.UnaryCall(&context, kEcho, "", &response), absl::OkStatus());
}

TEST_P(Generic, Streams) {
  StartServer();
  GenericStub stub(CreateChannel(address()));
  ClientContext context;
  const std::unique_ptr<ClientGenericReaderWriter> call = stub.Call(&context, kChat);
  for (int i = 0; i < 3; ++i) {
    const std::string message = PayloadWith("b", i).SerializeAsString();
    ASSERT_TRUE(call->Write(message));
    std::string echo;
    ASSERT_TRUE(call->Read(&echo));
    EXPECT_EQ(echo, message);
  }
  call->WritesDone();
  EXPECT_EQ(call->Finish(), absl::OkStatus());
}

TEST_P(Generic, TypedCallersOfGenericServices) {
  StartServer();
  Proxy proxy(address());
  ServerBuilder builder;
  builder.RegisterGenericService(&proxy);
  const std::unique_ptr<Server> server = Serve(&builder);
  const auto stub = TestService::NewStub(CreateChannel(server->addresses().front()));
  // Unary, small and in fragments.
  for (const size_t size : {0u, 100u, 1'000'000u}) {
    const absl::StatusOr<Payload> echo = stub->Echo(PayloadWith(std::string(size, 'c'), 7));
    ASSERT_EQ(echo.status(), absl::OkStatus());
    EXPECT_EQ(echo->data().size(), size);
    EXPECT_EQ(echo->number(), 7);
  }
  FailRequest fail;
  fail.set_code(static_cast<int>(absl::StatusCode::kDataLoss));
  fail.set_message("through the proxy");
  EXPECT_EQ(stub->Fail(fail).status(), absl::DataLossError("through the proxy"));
  ClientContext context;
  Payload sum;
  const std::unique_ptr<ClientWriter<Payload>> up = stub->Up(&context, &sum);
  for (int i = 1; i <= 10; ++i) EXPECT_TRUE(up->Write(PayloadWith("d", i)));
  up->WritesDone();
  EXPECT_EQ(up->Finish(), absl::OkStatus());
}

TEST_P(Generic, CallbackServices) {
  CallbackEcho echo;
  ServerBuilder builder;
  builder.RegisterCallbackGenericService(&echo);
  const std::unique_ptr<Server> server = Serve(&builder);
  GenericStub stub(CreateChannel(server->addresses().front()));
  ClientContext context;
  std::string response;
  EXPECT_EQ(stub.UnaryCall(&context, kUp, "hello", &response), absl::OkStatus());
  EXPECT_EQ(response, absl::StrCat(kUp, " hello"));
  ClientContext no_context;
  EXPECT_EQ(stub.UnaryCall(&no_context, "/No/No", "hello", &response).code(), absl::StatusCode::kUnimplemented);

  class Caller final : public ClientGenericBidiReactor {
   public:
    void Start() {
      StartWrite(&message_);
      StartRead(&echo_);
      StartCall();
    }
    void OnReadDone(bool ok) override {
      if (!ok) return;
      echoes += echo_ + ";";
      if (++count_ == 3) return StartWritesDone();
      StartWrite(&message_);
      StartRead(&echo_);
    }
    void OnDone(const absl::Status& s) override {
      status = s;
      done.Notify();
    }
    std::string echoes;
    absl::Status status;
    absl::Notification done;

   private:
    int count_ = 0;
    std::string message_ = "m";
    std::string echo_;
  };
  Caller caller;
  ClientContext stream_context;
  stub.PrepareCall(&stream_context, "/any/Name", &caller);
  caller.Start();
  caller.done.WaitForNotification();
  EXPECT_EQ(caller.status, absl::OkStatus());
  EXPECT_EQ(caller.echoes, "/any/Name m;/any/Name m;/any/Name m;");
}

INSTANTIATE_TEST_SUITE_P(Features, Generic, ::testing::ValuesIn(OneMechanismOfEachKind()), NameOfMechanism);

}  // namespace
}  // namespace nearcall::testing
