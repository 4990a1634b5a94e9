#ifndef NEARCALL_GENERIC_H_
#define NEARCALL_GENERIC_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nearcall/channel.h"
#include "nearcall/client_context.h"
#include "nearcall/client_reactor.h"
#include "nearcall/client_stream.h"
#include "nearcall/internal/mutex.h"
#include "nearcall/server_context.h"
#include "nearcall/server_reactor.h"
#include "nearcall/server_stream.h"

namespace nearcall {

// Calls without generated code, for proxies and tools: messages are the bytes that protobuf would have made, and a method
// is its full name, "/package.Service/Method". Every method can be called, and served, as if both sides streamed: a unary
// one has one message each way.

// --- Calling ---

using ClientGenericReaderWriter = ClientReaderWriter<std::string, std::string>;
using ClientGenericBidiReactor = ClientBidiReactor<std::string, std::string>;

// Threads: thread-safe. Calls keep what they need of it.
class GenericStub {
 public:
  explicit GenericStub(std::shared_ptr<Channel> channel) : channel_(std::move(channel)) {}

  // A unary call; blocks.
  absl::Status UnaryCall(ClientContext* context, absl::string_view method, const std::string& request,
                         std::string* response);
  // The same with a callback, as the unary methods of generated stubs.
  void UnaryCallAsync(ClientContext* context, absl::string_view method, const std::string* request,
                      std::string* response, std::function<void(absl::Status)> done);
  // A call of any kind, blocking.
  std::unique_ptr<ClientGenericReaderWriter> Call(ClientContext* context, absl::string_view method);
  // A call of any kind, with a reactor; its StartCall begins it.
  void PrepareCall(ClientContext* context, absl::string_view method, ClientGenericBidiReactor* reactor);

 private:
  // A method that was made for one name.
  struct NamedMethod;
  // Methods beyond so many are not remembered: their names travel with every call.
  static constexpr size_t kMaxRemembered = 256;

  std::shared_ptr<const NamedMethod> Find(absl::string_view name, bool unary);

  const std::shared_ptr<Channel> channel_;
  internal::Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<const NamedMethod>> methods_[2] ABSL_GUARDED_BY(mu_);
};

// --- Serving ---

// Serves the methods that no registered service has (ServerBuilder::RegisterGenericService). context->method() says which
// one is called.
//
// Threads: thread-safe; calls run side by side.
class GenericService {
 public:
  virtual ~GenericService() = default;
  // May block. Whoever calls a unary method expects exactly one message with OK.
  virtual absl::Status Call(ServerContext* context, ServerReaderWriter<std::string, std::string>* stream) = 0;
};

using ServerGenericBidiReactor = ServerBidiReactor<std::string, std::string>;

// The same in callback form (ServerBuilder::RegisterCallbackGenericService).
class CallbackGenericService {
 public:
  virtual ~CallbackGenericService() = default;
  // nullptr: UNIMPLEMENTED.
  virtual ServerGenericBidiReactor* CreateReactor(CallbackServerContext* context) = 0;
};

}  // namespace nearcall

#endif  // NEARCALL_GENERIC_H_
