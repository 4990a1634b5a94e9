#ifndef NEARCALL_TESTS_CODEGEN_COEXISTENCE_H_
#define NEARCALL_TESTS_CODEGEN_COEXISTENCE_H_

#include <string>
#include <typeinfo>

// What one translation unit sees as helloworld::Greeter. Two of them, because both generated headers in one would make
// the name ambiguous.
struct GreeterTypes {
  const std::type_info* service;
  const std::type_info* stub;
  std::string unimplemented;  // what the service class says when asked for SayHello
};

GreeterTypes GrpcGreeter();
GreeterTypes NearcallGreeter();

// Starts a server of each framework, calls it with its own stub, and gives the reply, or what went wrong.
std::string GreetOverGrpc(const std::string& name);
std::string GreetOverNearcall(const std::string& name);

#endif  // NEARCALL_TESTS_CODEGEN_COEXISTENCE_H_
