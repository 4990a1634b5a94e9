#ifndef NEARCALL_TESTS_GRPC_GREETERS_H_
#define NEARCALL_TESTS_GRPC_GREETERS_H_

#include <memory>
#include <string>

#include "grpcpp/channel.h"
#include "grpcpp/impl/service_type.h"
#include "nearcall/nearcall.h"

// The same service and the same client, written against gRPC's generated code and against ours. Each in a source file
// of its own: both generated headers in one would make the names ambiguous.
//
// SayHello greets; an empty name is INVALID_ARGUMENT with a detail; "slow" waits for the call to be cancelled. Collect
// greets all at once, Repeat three times, Chat each. What the caller's metadata `tag` says, SayHello and Chat return as
// initial metadata `tag` and, with a zero byte behind it, as trailing metadata `tag-bin`.

std::unique_ptr<grpc::Service> NewGrpcGreeter();
std::unique_ptr<nearcall::Service> NewNearcallGreeter();

// Calls everything there is; empty, or what went wrong.
std::string TryGrpcStub(std::shared_ptr<grpc::Channel> channel);
std::string TryNearcallStub(std::shared_ptr<nearcall::Channel> channel);

#endif  // NEARCALL_TESTS_GRPC_GREETERS_H_
