#ifndef NEARCALL_GRPC_ADAPTER_H_
#define NEARCALL_GRPC_ADAPTER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/channel.h"
#include "grpcpp/impl/service_type.h"
#include "nearcall/channel.h"
#include "nearcall/generic.h"

namespace nearcall {

// For code that is written against gRPC's generated classes, and is to call or serve over nearcall's addresses as it
// is. What cc_nearcall_library generates with grpc_adapter = True is faster, for code that holds a StubInterface or
// implements a Service in blocking form; this is for the rest.
//
// Each call takes gRPC's way inside the process and then ours, which costs some tens of microseconds, and carries
// everything, in every form of stub and service, but the credentials of a call: those are UNAUTHENTICATED.
// In //runtime:grpc_adapter.

// Has gRPC's stubs call through `channel`:
//   auto stub = helloworld::Greeter::NewStub(*nearcall::GrpcChannelOver(nearcall::CreateChannel("shm:x")));
// The result keeps `channel`. The last one to let go of it waits for the calls that are under way.
absl::StatusOr<std::shared_ptr<grpc::Channel>> GrpcChannelOver(std::shared_ptr<Channel> channel);

// A channel of ours over one of gRPC's, whatever that was made of. Limits of messages are its own.
std::shared_ptr<Channel> ChannelOver(std::shared_ptr<grpc::Channel> channel);

// Serves implementations of gRPC's generated services, in whichever form:
//   auto services = nearcall::ServeGrpc({&greeter});
//   builder.RegisterCallbackGenericService(services->get());
// The services must outlive the result, and the result the server. What a service of ours has, a service of the same
// name here is not asked about. FAILED_PRECONDITION: gRPC did not start.
absl::StatusOr<std::unique_ptr<CallbackGenericService>> ServeGrpc(const std::vector<grpc::Service*>& services);

}  // namespace nearcall

#endif  // NEARCALL_GRPC_ADAPTER_H_
