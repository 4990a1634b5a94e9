#ifndef NEARCALL_CODEGEN_EMIT_H_
#define NEARCALL_CODEGEN_EMIT_H_

#include "codegen/model.h"
#include "codegen/writer.h"

namespace nearcall {
namespace codegen {

// What is generated for one service. The files around it are generator.cc's.
//
// Everything is spelt from the global namespace (`::std::unique_ptr`), because a package, a service or a method may be
// called `std`.

// The client's side: StubInterface and Stub, as members of the service's class; and what goes into the .cc.
void EmitClientClasses(const Service& service, Writer* out);
void EmitClientDefinitions(const Service& service, Writer* out);

// The server's side: the nested class Service; and what goes into the .cc.
void EmitServerClass(const Service& service, Writer* out);
void EmitServerDefinitions(const Service& service, Writer* out);

// The mock of StubInterface.
void EmitMock(const Service& service, Writer* out);

// The adapters to gRPC's StubInterface and Service: their class; and what goes into the .cc.
void EmitGrpcClass(const File& file, const Service& service, Writer* out);
void EmitGrpcDefinitions(const File& file, const Service& service, Writer* out);

// The pieces of a streaming method's client side that more than one emitter needs: the parameters, and the stream's
// type ("::nearcall::ClientReader<...>"; "::nearcall::ClientReaderInterface<...>" with `suffix` "Interface").
std::vector<std::string> ClientParameters(const Method& method);
std::string ClientStream(const Method& method, const char* suffix);

// The parameters of a method's asynchronous forms: of a unary one with a callback, of any with a reactor.
std::vector<std::string> AsyncParameters(const Method& method);
std::vector<std::string> ReactorParameters(const Method& method);

}  // namespace codegen
}  // namespace nearcall

#endif  // NEARCALL_CODEGEN_EMIT_H_
