#ifndef NEARCALL_TESTS_GRPC_GRPC_GREETER_H_
#define NEARCALL_TESTS_GRPC_GRPC_GREETER_H_

#include <memory>
#include <string>

#include "tests/codegen/testdata/greeter.grpc.pb.h"

// gRPC's half of greeters.h, for source files that may see gRPC's generated code.

std::unique_ptr<helloworld::Greeter::Service> NewGreeterService();
std::string TryStub(helloworld::Greeter::StubInterface* stub);

#endif  // NEARCALL_TESTS_GRPC_GRPC_GREETER_H_
