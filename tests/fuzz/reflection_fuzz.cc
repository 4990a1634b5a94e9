// The reflection service, asked for anything.

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "nearcall/generic.h"
#include "nearcall/nearcall.h"
#include "protos/testing/test_service.nearcall.h"
#include "tests/fuzz/fuzz.h"

namespace {

class Reflecting {
 public:
  Reflecting() {
    nearcall::ServerBuilder builder;
    builder.RegisterService(&service_).EnableReflection().AddListeningPort("inproc:fuzz");
    auto server = builder.BuildAndStart();
    FUZZ_CHECK(server.ok());
    server_ = *std::move(server);
    stub_ = std::make_unique<nearcall::GenericStub>(nearcall::CreateChannel("inproc:fuzz"));
  }
  nearcall::GenericStub* stub() { return stub_.get(); }

 private:
  nearcall::testing::TestService::Service service_;
  std::unique_ptr<nearcall::Server> server_;
  std::unique_ptr<nearcall::GenericStub> stub_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const reflecting = new Reflecting;
  nearcall::testing::FuzzInput input(data, size);
  const std::string version = input.Byte() % 2 == 0 ? "v1" : "v1alpha";
  nearcall::ClientContext context;
  const auto call = reflecting->stub()->Call(
      &context, absl::StrCat("/grpc.reflection.", version, ".ServerReflection/ServerReflectionInfo"));
  // Several questions on one stream, which remembers what it has sent.
  while (!input.empty()) {
    std::string answer;
    if (!call->Write(input.Bytes(input.Byte())) || !call->Read(&answer)) break;
  }
  call->WritesDone();
  call->Finish().IgnoreError();
  return 0;
}
